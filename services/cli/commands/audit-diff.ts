import type { AuditDiffView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { nameArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { paintDiff } from "../render/paint-diff.ts";
import { exactTime } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

export function addAuditDiff(audit: Command): void {
  action(
    audit
      .command("diff")
      .description("what differs between two times: what servers held, their labels, the lists")
      .argument("<from>", TIME_HELP, timeArgument)
      .argument("<to>", "the same, later", timeArgument)
      .option("--server <name>", "only on this server", nameArgument)
      .option("--policy <name>", "only this policy: its text, and who held it", nameArgument),
    async ({ client, terminal }, from: string, to: string, options: { server?: string; policy?: string }) => {
      const view = await client.audit.diff.query({ from, to, ...options });
      print(terminal, view, () => diffLines(terminal, view));
    },
  );
}

function diffLines(terminal: Terminal, view: AuditDiffView): string[] {
  const lines = [
    ...view.servers.flatMap((one) => serverLines(terminal, one)),
    ...view.lists.flatMap(({ list, from, to, added, removed, add, del }) => [
      `list ${list}: rev ${from} → ${to}, ${added} more, ${removed} fewer`,
      ...add.map((entry) => terminal.paint("green", `  + ${entry}`)),
      ...del.map((entry) => terminal.paint("red", `  - ${entry}`)),
    ]),
    ...(view.frozen.from === view.frozen.to ? [] : [`the fleet was ${view.frozen.to ? "frozen" : "thawed"}`]),
    ...(view.policy?.diff ?? "")
      .trimEnd()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => paintDiff(terminal.paint, line)),
  ];
  const between = `between ${exactTime(view.from)} and ${exactTime(view.to)} UTC`;
  return lines.length === 0 ? [`nothing differs ${between}`] : [between, ...lines];
}

function serverLines(
  terminal: Terminal,
  { server, added, policies, labels, manifest }: AuditDiffView["servers"][number],
): string[] {
  const changes = [
    ...(added ? ["is new"] : []),
    ...policies.map(({ policy, from, to }) => {
      if (from === undefined) return terminal.paint("green", `+ ${policy}@${to}`);
      if (to === undefined) return terminal.paint("red", `- ${policy}@${from}`);
      return `~ ${policy}@${from} → ${policy}@${to}`;
    }),
    ...Object.entries(labels.set).map(([key, value]) => `label ${key}=${value}`),
    ...labels.unset.map((key) => `label ${key}-`),
    ...(policies.length === 0 && manifest ? ["another manifest of the same policies"] : []),
  ];
  return [terminal.paint("bold", server), ...changes.map((change) => `  ${change}`)];
}
