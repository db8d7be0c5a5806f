import { entityName } from "@sluice/proto/api/common";
import type { PlanView } from "@sluice/proto/api/plans";
import { SluiceError } from "@sluice/proto/base/errors";
import { type Command, Option } from "commander";
import { durationArgument, nameArgument, nameList, pageArgument, revisionArgument } from "../arguments.ts";
import { action, type Invocation, print, withExamples, withReason } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { readPolicyFiles } from "../files.ts";
import { foundLines } from "../render/hits.ts";
import type { Files } from "../render/place.ts";
import { planSummary, tellAnswers } from "../render/plan.ts";
import { table } from "../render/table.ts";
import { counted, timeText } from "../render/text.ts";
import { watch } from "../watch.ts";

interface PlanOptions {
  file?: string;
  revision?: number;
  server: string[];
  deadline: number;
  reason: string;
}

export function addPlanCommands(program: Command): void {
  const plan = withExamples(
    withReason(program.command("plan"))
      .description(
        "every targeted server rehearses a change and answers with its diff or its refusal; nothing live changes; exits 2 where any refuses",
      )
      .argument("[policy]", "a stored policy; or give a file with -f")
      .option("-f, --file <path>", "a policy file that needn't be stored; - for stdin")
      .option("--revision <n>", "the newest unless said", revisionArgument)
      .option("--server <name>", "only this one of the targeted, repeatable", nameList, [])
      .addOption(
        new Option("--deadline <duration>", "after it a server counts as silent")
          .argParser(durationArgument)
          .default(30_000, "30s"),
      ),
    [
      "sluice plan -f web-edge.yaml          a file; nothing is stored",
      "sluice plan web-edge --revision 4     a stored revision",
      "sluice plan show p-x7d2k9qs           its answers once more",
    ],
  );
  action(plan, async (invocation, policy: string | undefined, options: PlanOptions) => {
    const { of, files } = await subjectOf(policy, options);
    const requested = await invocation.client.plans.request.mutate({
      of,
      ...(options.server.length > 0 ? { servers: options.server } : {}),
      deadlineMs: options.deadline,
      reason: options.reason,
    });
    return await follow(invocation, requested, files);
  });

  action(
    plan
      .command("ls")
      .description("plans, newest first")
      .option("--policy <name>", "only of this policy", nameArgument)
      .option("--limit <n>", "how many", pageArgument, 20),
    async ({ client, terminal }, options: { policy?: string; limit: number }) => {
      const rows = await client.plans.ls.query(options);
      print(terminal, rows, () =>
        table(terminal, {
          none: "no plans",
          rows,
          columns: [
            { heading: "PLAN", cell: (row) => row.plan },
            {
              heading: "POLICY",
              cell: (row) => `${row.policy}${row.revision === undefined ? " (file)" : `@${row.revision}`}`,
            },
            { heading: "STATE", cell: (row) => row.state, paint: (row) => colorOf(row.state) },
            { heading: "ANSWERED", cell: (row) => `${row.answered}/${row.servers}` },
            { heading: "REQUESTED", cell: (row) => timeText(terminal, row.requested.at) },
            { heading: "BY", cell: (row) => row.requested.actor, optional: true },
            { heading: "REASON", cell: (row) => row.requested.reason || "-", wraps: true },
          ],
        }),
      );
    },
  );

  action(
    plan.command("show").description("a plan's answers; waits for those that are missing").argument("<plan>"),
    async (invocation, id: string) =>
      follow(invocation, await invocation.client.plans.show.query({ plan: id }), new Map()),
  );
}

async function subjectOf(policy: string | undefined, options: PlanOptions) {
  if (options.file !== undefined) {
    const [file, ...more] = await readPolicyFiles([options.file]);
    if (file === undefined || more.length > 0 || policy !== undefined || options.revision !== undefined) {
      throw new SluiceError("INVALID", "a plan is of one policy: give its name, or one file with -f");
    }
    const { parsePolicy } = await import("@sluice/proto/policy/parse");
    const parsed = parsePolicy(file.text, file.name);
    const files: Files = new Map(parsed.ok ? [[parsed.document.policy, file.name]] : []);
    return { of: { file }, files };
  }
  if (policy === undefined) {
    throw new SluiceError("INVALID", "which policy?", { cure: "sluice plan NAME, or sluice plan -f FILE" });
  }
  if (!entityName.safeParse(policy).success) {
    throw new SluiceError("INVALID", `'${policy}' is no policy's name`, {
      cure: `for a file: sluice plan -f ${policy}`,
    });
  }
  const revision = options.revision === undefined ? {} : { revision: options.revision };
  return { of: { policy, ...revision }, files: new Map() };
}

async function follow(
  { client, terminal, signal }: Invocation,
  first: PlanView,
  files: Files,
): Promise<ExitCode> {
  if (first.state === "running")
    terminal.err(`plan ${first.plan} of ${first.policy}: ${counted(first.answers.length, "server")} asked`);
  const { view, interrupted } = await watch<PlanView>({
    first,
    subscribe: (observer) => client.plans.watch.subscribe({ plan: first.plan }, observer),
    signal,
    terminal,
    onView: tellAnswers(terminal, files),
    isOver: ({ state }) => state !== "running",
  });
  terminal.status("");
  print(terminal, view, () => [
    ...(view.observed ? foundLines(terminal, view.policy, view.observed) : []),
    planSummary(view),
  ]);
  if (interrupted) {
    terminal.err(`the plan goes on: sluice plan show ${view.plan}`);
    return EXIT.interrupted;
  }
  return view.state === "ok" ? EXIT.done : EXIT.refused;
}

function colorOf(state: string): "green" | "red" | "yellow" {
  return state === "ok" ? "green" : state === "refused" ? "red" : "yellow";
}
