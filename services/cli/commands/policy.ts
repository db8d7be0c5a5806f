import type { ApplyPoliciesView, LintPoliciesView, PolicyFile } from "@sluice/proto/api/policies";
import { formatProblem, type Problem, SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { collect, diffFromArgument, nameArgument, revisionArgument } from "../arguments.ts";
import { action, print, withExamples, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readPolicyFiles } from "../files.ts";
import { paintDiff } from "../render/paint-diff.ts";
import { table } from "../render/table.ts";
import { counted, exactTime, labelsText, timeText } from "../render/text.ts";
import { addPolicyBlame } from "./policy-blame.ts";
import { addPolicyHits } from "./policy-hits.ts";

interface ApplyOptions {
  file: string[];
  prune: boolean;
  dryRun: boolean;
  reason: string;
}

const FILE_FLAGS = "-f, --file <path>";
const FILE_HELP = "a file, a folder of *.yaml, or - for stdin; repeatable";

export function addPolicyCommands(program: Command): void {
  const policy = withExamples(
    program.command("policy").description("policies: check them, store them, look at them"),
    [
      "sluice policy lint policies/",
      'sluice policy apply -f policies/ --reason "open 443"',
      "sluice policy apply -f policies/ --prune --dry-run     what would be stored and retired",
      "sluice policy diff web-edge                            what the newest revision changed",
      "sluice policy blame web-edge                           which revision each line came with, and why",
      "sluice policy hits web-edge                            which rules match, which are unused",
      "sluice policy show web-edge --revision 2 > old.yaml",
    ],
  );

  action(
    withReason(policy.command("apply"))
      .description("store policies from files; identical content makes no revision")
      .argument("[paths...]", FILE_HELP)
      .option(FILE_FLAGS, FILE_HELP, collect, [])
      .option("--prune", "retire the policies that aren't among the files", false)
      .option("--dry-run", "say what would be done, do nothing", false),
    async ({ client, terminal }, paths: string[], options: ApplyOptions) => {
      const given = [...paths, ...options.file];
      if (given.length === 0)
        throw new SluiceError("INVALID", "which files?", { cure: "sluice policy apply -f FILE or FOLDER" });
      const view = await client.policies.revise.mutate({
        files: await readPolicyFiles(given),
        prune: options.prune,
        dryRun: options.dryRun,
        reason: options.reason,
      });
      print(terminal, view, () => appliedLines(view));
    },
  );

  action(
    policy
      .command("lint")
      .description("check policy files; stores nothing, asks nobody, needs no control")
      .argument("[paths...]", `${FILE_HELP}; this folder unless said`)
      .option(FILE_FLAGS, FILE_HELP, collect, []),
    async ({ terminal }, paths: string[], options: { file: string[] }) => {
      const given = [...paths, ...options.file];
      const view = await lint(await readPolicyFiles(given.length === 0 ? ["."] : given));
      const wrong = view.files.filter(({ problems }) => problems.length > 0);
      for (const { problems } of wrong)
        for (const problem of problems) terminal.err(formatProblem(problem as Problem));
      print(terminal, view, () =>
        view.files.filter((one) => !wrong.includes(one)).map(({ file }) => `${file}: ok`),
      );
      if (view.ok) return EXIT.done;
      const count = wrong.reduce((sum, { problems }) => sum + problems.length, 0);
      terminal.err(
        `sluice: ${counted(count, "problem")} in ${wrong.length} of ${counted(view.files.length, "file")}`,
      );
      return EXIT.refused;
    },
  );

  action(
    policy.command("ls").description("all policies").option("--retired", "the retired ones too", false),
    async ({ client, terminal }, options: { retired: boolean }) => {
      const rows = await client.policies.ls.query({ retired: options.retired });
      print(terminal, rows, () =>
        table(terminal, {
          none: "no policies",
          rows,
          columns: [
            { heading: "POLICY", cell: (row) => row.policy },
            { heading: "REVISION", cell: (row) => (row.retired ? "retired" : String(row.revision)) },
            { heading: "SERVERS", cell: (row) => String(row.servers) },
            {
              heading: "TARGETS",
              cell: ({ targets }) =>
                [...targets.servers, labelsText(targets.labels)].filter(Boolean).join(", ") || "-",
              wraps: true,
            },
            { heading: "REVISED", cell: (row) => timeText(terminal, row.revised.at) },
            { heading: "BY", cell: (row) => row.revised.actor, optional: true },
            { heading: "DESCRIPTION", cell: (row) => row.description || "-", wraps: true },
          ],
        }),
      );
    },
  );

  action(
    policy
      .command("show")
      .description("one policy's text on stdout, as it was written; who has it on stderr")
      .argument("<policy>", "its name", nameArgument)
      .option("--revision <n>", "an older one", revisionArgument),
    async ({ client, terminal }, name: string, options: { revision?: number }) => {
      const view = await client.policies.show.query({ policy: name, revision: options.revision });
      if (!terminal.json) {
        const held = view.servers.map(({ server, revision }) => `${server}@${revision}`).join(", ");
        const { at, actor, reason } = view.revised;
        terminal.err(
          `# revision ${view.revision} of ${view.latest}, ${exactTime(at)} UTC by ${actor}: ${reason || "no reason given"}`,
        );
        terminal.err(`# on ${held || "no server"}`);
      }
      print(terminal, view, () => [view.text.trimEnd()]);
    },
  );

  action(
    policy
      .command("history")
      .description("who revised it, when and why")
      .argument("<policy>", "its name", nameArgument),
    async ({ client, terminal }, name: string) => {
      const rows = await client.policies.history.query({ policy: name });
      print(terminal, rows, () =>
        table(terminal, {
          none: "no revisions",
          rows,
          columns: [
            { heading: "REVISION", cell: (row) => String(row.revision) },
            { heading: "REVISED", cell: (row) => timeText(terminal, row.revised.at) },
            { heading: "BY", cell: (row) => row.revised.actor },
            { heading: "REASON", cell: (row) => row.revised.reason || "-", wraps: true },
          ],
        }),
      );
    },
  );

  addPolicyHits(policy);
  addPolicyBlame(policy);

  action(
    policy
      .command("diff")
      .description("between two revisions; the newest and the one before unless said")
      .argument("<policy>", "its name", nameArgument)
      .argument("[from]", "a revision; 0 is nothing", diffFromArgument)
      .argument("[to]", "a revision", revisionArgument),
    async ({ client, terminal }, name: string, from?: number, to?: number) => {
      const view = await client.policies.diff.query({ policy: name, from, to });
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
    withReason(policy.command("retire"))
      .description("retire a policy that no server holds")
      .argument("<policy>", "its name", nameArgument),
    async ({ client, terminal }, name: string, options: { reason: string }) => {
      const view = await client.policies.retire.mutate({ policy: name, reason: options.reason });
      print(terminal, view, () => [`${view.policy} retired at revision ${view.revision}`]);
    },
  );
}

function appliedLines({ dryRun, policies, retired }: ApplyPoliciesView): string[] {
  const would = dryRun ? "would be " : "";
  return [
    ...policies.map(({ file, policy, action, revision }) => {
      const what = action === "unchanged" ? "unchanged" : `${would}${action}`;
      return `${policy} ${what} at revision ${revision}  (${file})`;
    }),
    ...retired.map((name) => `${name} ${would}retired`),
    ...(dryRun ? ["nothing was stored (--dry-run)"] : []),
  ];
}

/** Needs no control: the same reading that control does before it stores. Loaded only here, as it is half of all code. */
async function lint(files: readonly PolicyFile[]): Promise<LintPoliciesView> {
  const { parsePolicy } = await import("@sluice/proto/policy/parse");
  const linted = files.map(({ name, text }) => {
    const parsed = parsePolicy(text, name);
    return parsed.ok
      ? { file: name, policy: parsed.document.policy, problems: [] }
      : { file: name, problems: parsed.problems };
  });
  return { ok: linted.every(({ problems }) => problems.length === 0), files: linted };
}
