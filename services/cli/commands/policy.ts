import type { LintPoliciesView, PolicyFile } from "@sluice/proto/api/policies";
import { formatProblem, type Problem, SluiceError } from "@sluice/proto/base/errors";
import { parsePolicy } from "@sluice/proto/policy/parse";
import type { Command } from "commander";
import { action, collect, print, revisionArgument, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readPolicyFiles } from "../files.ts";
import { labelsText, table, timeText } from "../render/table.ts";

export function addPolicyCommands(program: Command): void {
  const policy = program.command("policy").description("policies: store, check, look at");

  action(
    withReason(policy.command("apply"))
      .description("store policies from files; identical content makes no revision")
      .requiredOption("-f, --file <path>", "a file, a folder of *.yaml, or - (repeatable)", collect, [])
      .option("--prune", "retire the policies that aren't among the files", false)
      .option("--dry-run", "say what would be done, do nothing", false),
    async (
      { client, terminal },
      options: { file: string[]; prune: boolean; dryRun: boolean; reason: string },
    ) => {
      const view = await client.policies.revise.mutate({
        files: await readPolicyFiles(options.file),
        prune: options.prune,
        dryRun: options.dryRun,
        reason: options.reason,
      });
      print(terminal, view, () => [
        ...view.policies.map(
          (one) => `${one.policy} ${one.action} at revision ${one.revision}  (${one.file})`,
        ),
        ...view.retired.map((name) => `${name} ${view.dryRun ? "would be retired" : "retired"}`),
        ...(view.dryRun ? ["nothing was stored (--dry-run)"] : []),
      ]);
    },
  );

  action(
    policy
      .command("lint [paths...]")
      .description("check policy files; stores nothing, asks no server")
      .option("-f, --file <path>", "a file, a folder of *.yaml, or - (repeatable)", collect, []),
    async ({ terminal }, paths: string[], options: { file: string[] }) => {
      const files = await readPolicyFiles(
        paths.length + options.file.length === 0 ? ["."] : [...paths, ...options.file],
      );
      const view = lint(files);
      if (terminal.json) terminal.out(JSON.stringify(view));
      for (const { file, problems } of view.files) {
        for (const problem of problems) terminal.err(formatProblem(problem as Problem));
        if (problems.length === 0 && !terminal.json) terminal.out(`${file}: ok`);
      }
      return view.ok ? EXIT.done : EXIT.refused;
    },
  );

  action(
    policy.command("ls").description("all policies").option("--retired", "the retired ones too", false),
    async ({ client, terminal }, options: { retired: boolean }) => {
      const rows = await client.policies.ls.query({ retired: options.retired });
      print(terminal, rows, () =>
        table(
          ["POLICY", "REVISION", "SERVERS", "TARGETS", "REVISED", "BY", "DESCRIPTION"],
          rows.map((row) => [
            row.policy,
            String(row.revision),
            String(row.servers),
            [...row.targets.servers, labelsText(row.targets.labels)].filter(Boolean).join(",") || "-",
            timeText(row.revised.at),
            row.revised.actor,
            row.description,
          ]),
        ),
      );
    },
  );

  action(
    policy
      .command("show <name>")
      .description("one policy's text, as it was written")
      .option("--revision <n>", "an older one", revisionArgument),
    async ({ client, terminal }, name: string, options: { revision?: number }) => {
      const view = await client.policies.show.query({ policy: name, revision: options.revision });
      const held = view.servers.map(({ server, revision }) => `${server}@${revision}`).join(", ");
      terminal.status("");
      if (!terminal.json) {
        terminal.err(
          `# revision ${view.revision} of ${view.latest}, by ${view.revised.actor}: ${view.revised.reason}`,
        );
        terminal.err(`# on ${held || "no server"}`);
      }
      print(terminal, view, () => [view.text.trimEnd()]);
    },
  );

  action(
    policy.command("history <name>").description("who revised it, when and why"),
    async ({ client, terminal }, name: string) => {
      const rows = await client.policies.history.query({ policy: name });
      print(terminal, rows, () =>
        table(
          ["REVISION", "REVISED", "BY", "REASON"],
          rows.map((row) => [
            String(row.revision),
            timeText(row.revised.at),
            row.revised.actor,
            row.revised.reason || "-",
          ]),
        ),
      );
    },
  );

  action(
    policy
      .command("diff <name> [from] [to]")
      .description("between two revisions; the newest two unless said"),
    async ({ client, terminal }, name: string, from?: string, to?: string) => {
      const view = await client.policies.diff.query({
        policy: name,
        from: from === undefined ? undefined : numberOf(from),
        to: to === undefined ? undefined : numberOf(to),
      });
      print(terminal, view, () =>
        view.identical
          ? [`revisions ${view.from} and ${view.to} are identical`]
          : view.diff
              .trimEnd()
              .split("\n")
              .map((line) => paintDiff(terminal.paint, line)),
      );
    },
  );

  action(
    withReason(policy.command("retire <name>")).description("retire a policy that no server holds"),
    async ({ client, terminal }, name: string, options: { reason: string }) => {
      const view = await client.policies.retire.mutate({ policy: name, reason: options.reason });
      print(terminal, view, () => [`${view.policy} retired at revision ${view.revision}`]);
    },
  );
}

/** Needs no control: the same reading that control does before it stores. */
function lint(files: readonly PolicyFile[]): LintPoliciesView {
  const linted = files.map(({ name, text }) => {
    const parsed = parsePolicy(text, name);
    return parsed.ok
      ? { file: name, policy: parsed.document.policy, problems: [] }
      : { file: name, problems: parsed.problems };
  });
  return { ok: linted.every(({ problems }) => problems.length === 0), files: linted };
}

function numberOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new SluiceError("INVALID", `'${text}' is no revision`);
  return Number(text);
}

function paintDiff(paint: (color: "green" | "red" | "cyan", text: string) => string, line: string): string {
  if (line.startsWith("+")) return paint("green", line);
  if (line.startsWith("-")) return paint("red", line);
  return line.startsWith("@@") ? paint("cyan", line) : line;
}
