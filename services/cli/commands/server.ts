import type { Command } from "commander";
import { action, collect, labelArguments, print, withReason } from "../command.ts";
import { differenceLines } from "../render/differences.ts";
import { labelsText, table, timeText } from "../render/table.ts";

export function addServerCommands(program: Command): void {
  const server = program.command("server").description("servers: enrol, look at, label");

  action(
    withReason(server.command("add <name>"))
      .description("make a server known, and a one-time token for its agent")
      .option("--label <key=value>", "label it, repeatable", collect, []),
    async ({ client, terminal }, name: string, options: { label: string[]; reason: string }) => {
      const { set } = labelArguments(options.label);
      const view = await client.servers.add.mutate({ server: name, labels: set, reason: options.reason });
      print(terminal, view, () => [
        `server ${view.server} is known; on it, run once:`,
        `  sluice-agent run --control ${terminal.paint("dim", "URL")} --join ${view.token}`,
      ]);
    },
  );

  action(
    server
      .command("ls")
      .description("all servers, or those with a label")
      .option("--label <key=value>", "only with this label, repeatable", collect, []),
    async ({ client, terminal }, options: { label: string[] }) => {
      const rows = await client.servers.ls.query({ labels: labelArguments(options.label).set });
      print(terminal, rows, () =>
        table(
          ["SERVER", "STATE", "CONNECTED", "GENERATION", "POLICIES", "LABELS"],
          rows.map((row) => [
            row.server,
            terminal.paint(colorOf(row.state), row.state),
            row.connected ? "yes" : "no",
            `${row.confirmedGeneration}/${row.generation}`,
            row.assigned.map(({ policy, revision }) => `${policy}@${revision}`).join(",") || "-",
            labelsText(row.labels) || "-",
          ]),
        ),
      );
    },
  );

  action(
    server.command("show <name>").description("one server: what it is, what it holds, what differs"),
    async ({ client, terminal }, name: string) => {
      const view = await client.servers.show.query({ server: name });
      print(terminal, view, () => [
        `${terminal.paint("bold", view.server)}  ${terminal.paint(colorOf(view.state), view.state)}`,
        `labels      ${labelsText(view.labels) || "-"}`,
        `connected   ${view.connected ? "yes" : "no"}, last seen ${timeText(view.lastSeenAt)}`,
        `enrolled    ${timeText(view.enrolledAt)}`,
        `generation  ${view.confirmedGeneration} confirmed of ${view.generation} (epoch ${view.epoch})`,
        `policies    ${view.assigned.map(({ policy, revision }) => `${policy}@${revision}`).join(", ") || "-"}`,
        ...(view.failure ? [`failed at   ${view.failure.step}: ${view.failure.reason}`] : []),
        ...(view.facts
          ? [
              `kernel      ${view.facts.kernel}, iptables ${view.facts.capabilities.iptables.version} (${view.facts.capabilities.iptables.backend})`,
              `devices     ${view.facts.devices.map(({ name: device }) => device).join(", ")}`,
            ]
          : []),
        ...(view.drift.length > 0 ? ["drift", ...differenceLines(terminal, view.drift, "  ")] : []),
      ]);
    },
  );

  action(
    withReason(server.command("label <name> <labels...>")).description(
      "set labels (key=value) or take them away (key-)",
    ),
    async ({ client, terminal }, name: string, words: string[], options: { reason: string }) => {
      const { set, unset } = labelArguments(words);
      const view = await client.servers.label.mutate({ server: name, set, unset, reason: options.reason });
      print(terminal, view, () => [
        `${view.server}: ${labelsText(view.labels) || "no labels"}`,
        ...(view.generation === undefined ? [] : [`what it holds changes: generation ${view.generation}`]),
        ...(view.problem === undefined ? [] : [`it keeps what it holds: ${view.problem}`]),
      ]);
    },
  );
}

function colorOf(state: string): "green" | "red" | "yellow" | "dim" {
  if (state === "converged") return "green";
  if (state === "failed" || state === "drifted") return "red";
  return state === "added" || state === "empty" ? "dim" : "yellow";
}
