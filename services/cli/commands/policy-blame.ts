import type { BlamePolicyView } from "@sluice/proto/api/policies";
import type { Command } from "commander";
import { nameArgument, revisionArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import type { Terminal } from "../terminal.ts";

export function addPolicyBlame(policy: Command): void {
  action(
    policy
      .command("blame")
      .description("each line: which revision it came with, who wrote it, when and why")
      .argument("<policy>", "its name", nameArgument)
      .option("--revision <n>", "of this one, instead of the newest", revisionArgument),
    async ({ client, terminal }, name: string, options: { revision?: number }) => {
      const view = await client.policies.blame.query({ policy: name, ...options });
      print(terminal, view, () => blameLines(terminal, view));
    },
  );
}

const LONGEST_REASON = 40;

/** The text stands last, so that it keeps its shape. */
function blameLines(terminal: Terminal, { lines }: BlamePolicyView): string[] {
  const reasonOf = (reason: string) =>
    terminal.width === undefined || reason.length <= LONGEST_REASON
      ? reason
      : `${reason.slice(0, LONGEST_REASON - 1)}…`;
  const heads = lines.map(({ revision, revised: { at, actor, reason } }) => [
    `@${revision}`,
    at.slice(0, 10),
    actor,
    reasonOf(reason) || "-",
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...heads.map((head) => head[column]?.length ?? 0)));
  return lines.map(({ text }, index) => {
    const head = (heads[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
    return `${terminal.paint("dim", head)} │ ${text}`.trimEnd();
  });
}
