import type { TestPoliciesView } from "@sluice/proto/api/tests";
import { formatProblem, type Problem } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { collect, labelPairs, nameArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readPolicyFiles } from "../files.ts";
import type { Files } from "../render/place.ts";
import { refusalLines } from "../render/refusal.ts";
import { testLines } from "../render/tests.ts";
import { counted } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";
import { testPolicies } from "../test-policies.ts";

interface TestOptions {
  server?: string;
  label: string[];
  agent?: string;
}

export function addTestCommand(program: Command): void {
  const command = withExamples(
    program
      .command("test")
      .description(
        "rehearse policy files on this machine's kernel and send their tests as real packets; needs root, and no control; exits 3 where a test doesn't hold",
      )
      .argument(
        "[paths...]",
        "a file, a folder of *.yaml, or - for stdin; repeatable; this folder unless said",
      )
      .option(
        "--server <name>",
        "as this server: its variables; else as the first that the policy names",
        nameArgument,
      )
      .option("--label <key=value>", "as a server with this label, repeatable", collect, [])
      .option("--agent <path>", "the agent's program; else this checkout's, else sluice-agent"),
    [
      "sluice test policies/                    in a CI job, as root",
      "sluice test web-edge.yaml --label site=far",
    ],
  );
  action(command, async ({ terminal }, paths: string[], { server, label, agent }: TestOptions) => {
    const files = await readPolicyFiles(paths.length === 0 ? ["."] : paths);
    const view = await testPolicies(files, { server, labels: labelPairs(label), agent });
    for (const { problems } of view.files)
      for (const problem of problems) terminal.err(formatProblem(problem as Problem));
    print(terminal, view, () => view.files.flatMap((file) => fileLines(terminal, file)));
    const isRefused = view.files.some(
      ({ problems, refusal }) => problems.length > 0 || refusal !== undefined,
    );
    if (isRefused) return EXIT.refused;
    return view.ok ? EXIT.done : EXIT.halted;
  });
}

function fileLines(terminal: Terminal, tested: TestPoliciesView["files"][number]): string[] {
  const { file, policy, problems, refusal, tests } = tested;
  if (problems.length > 0) return [`${file}: ${counted(problems.length, "problem")}`];
  const files: Files = new Map(policy === undefined ? [] : [[policy, file]]);
  if (refusal !== undefined)
    return [
      terminal.paint("red", `${file}: this kernel refuses it`),
      ...refusalLines(refusal, files).map((line) => `  ${line}`),
    ];
  const held = tests.filter(({ verdict, expect }) => verdict === expect).length;
  return [
    ...tests.flatMap((test) => {
      const [first = "", ...more] = testLines(test, files);
      const { verdict, expect } = test;
      if (verdict === expect) return [`${terminal.paint("green", "✓")} ${first}`, ...more];
      const sign = verdict === "unknown" ? terminal.paint("yellow", "?") : terminal.paint("red", "✗");
      return [`${sign} ${first}`, ...more];
    }),
    tests.length === 0
      ? `${file}: this kernel takes it; no tests`
      : `${file}: ${held} of ${counted(tests.length, "test")} held`,
  ];
}
