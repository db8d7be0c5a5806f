import type { PlanAnswerView, PlanView } from "@sluice/proto/api/plans";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { action, collect, durationArgument, print, revisionArgument, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readPolicyFiles } from "../files.ts";
import { differenceLines, refusalText } from "../render/differences.ts";
import type { Terminal } from "../terminal.ts";
import { watch } from "../watch.ts";

interface PlanOptions {
  file?: string;
  revision?: number;
  server: string[];
  deadline: number;
  reason: string;
}

export function addPlanCommand(program: Command): void {
  action(
    withReason(program.command("plan [policy]"))
      .description("every targeted server rehearses the change and answers with its diff or its refusal")
      .option("-f, --file <path>", "a policy file that needn't be stored")
      .option("--revision <n>", "the newest unless said", revisionArgument)
      .option("--server <name>", "only this one, repeatable", collect, [])
      .option("--deadline <duration>", "after it a server counts as silent", durationArgument, 30_000),
    async ({ client, terminal, signal }, policy: string | undefined, options: PlanOptions) => {
      const requested = await client.plans.request.mutate({
        of: await subjectOf(policy, options),
        ...(options.server.length > 0 ? { servers: options.server } : {}),
        deadlineMs: options.deadline,
        reason: options.reason,
      });
      const told = new Map<string, string>();
      const view = await watch<PlanView>(
        (observer) => client.plans.watch.subscribe({ plan: requested.plan }, observer),
        signal,
        (now) => tell(terminal, now, told),
        (now) => now.state !== "running",
      );
      print(terminal, view, () => [summary(view)]);
      return view.state === "ok" ? EXIT.done : EXIT.refused;
    },
  );
}

async function subjectOf(policy: string | undefined, options: PlanOptions) {
  if (options.file !== undefined) {
    const [file, ...more] = await readPolicyFiles([options.file]);
    if (file === undefined || more.length > 0 || policy !== undefined) {
      throw new SluiceError("INVALID", "a plan is of one policy: give its name, or one file with -f");
    }
    return { file };
  }
  if (policy === undefined) {
    throw new SluiceError("INVALID", "which policy?", { cure: "sluice plan NAME, or sluice plan -f FILE" });
  }
  return { policy, ...(options.revision === undefined ? {} : { revision: options.revision }) };
}

/** Prints each server once, as its answer comes; an answer like one that was shown is only named. */
function tell(terminal: Terminal, view: PlanView, told: Map<string, string>): void {
  const waiting = view.answers.filter(({ state }) => state === "waiting");
  for (const answer of view.answers) {
    if (answer.state === "waiting" || told.has(answer.server)) continue;
    const content = JSON.stringify([answer.state, answer.refusal, answer.differences, answer.warnings]);
    const twin = [...told].find(([, shown]) => shown === content)?.[0];
    told.set(answer.server, content);
    if (terminal.json) continue;
    const lines = answerLines(terminal, answer);
    const shown = twin === undefined || lines.length === 1 ? lines : [`${lines[0]}, just as ${twin}`];
    for (const line of shown) (answer.state === "ok" ? terminal.out : terminal.err)(line);
  }
  terminal.status(waiting.length > 0 ? `waiting for ${waiting.map(({ server }) => server).join(", ")}` : "");
}

function answerLines(terminal: Terminal, answer: PlanAnswerView): string[] {
  const { server, state, differences, warnings } = answer;
  const warned = warnings.map((warning) => terminal.paint("yellow", `  ! ${warning}`));
  if (state === "refused")
    return [terminal.paint("red", `${server}: refused at ${refusalText(answer.refusal)}`)];
  if (state === "silent") return [terminal.paint("red", `${server}: silent`)];
  if (differences.length === 0) return [`${server}: holds this already`, ...warned];
  return [`${server}: ${countText(answer)}`, ...differenceLines(terminal, differences, "  "), ...warned];
}

function countText({ differences }: PlanAnswerView): string {
  const count = (kind: string) => differences.filter((one) => one.kind === kind).length;
  return `${count("missing")} to add, ${count("changed")} to change, ${count("extra")} to remove`;
}

function summary(view: PlanView): string {
  const count = (state: string) => view.answers.filter((answer) => answer.state === state).length;
  const parts = [`plan ${view.plan}: ${view.state}`, `${count("ok")} of ${view.answers.length} servers can`];
  if (count("refused") > 0) parts.push(`${count("refused")} refused`);
  if (count("silent") > 0) parts.push(`${count("silent")} silent`);
  return parts.join(", ");
}
