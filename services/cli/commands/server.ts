import type { ServerView } from "@sluice/proto/api/servers";
import type { Command } from "commander";
import { collect, labelArguments, labelPairs, nameArgument } from "../arguments.ts";
import { action, print, withExamples, withReason } from "../command.ts";
import { differenceLines } from "../render/differences.ts";
import { table } from "../render/table.ts";
import { assignedText, exactTime, labelsText, timeText } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

export function addServerCommands(program: Command): void {
  const server = withExamples(
    program.command("server").description("servers: enrol them, look at them, label them"),
    [
      "sluice server add web-3 --label role=web      prints what to run on web-3",
      "sluice server ls --label role=web",
      "sluice server show web-3",
      "sluice server label web-3 site=hel old-",
    ],
  );

  action(
    withReason(server.command("add"))
      .description("make a server known; prints the line that starts its agent, with a one-time token")
      .argument("<server>", "its name", nameArgument)
      .option("--label <key=value>", "label it, repeatable", collect, [])
      .option("--again", "a new token for a server that is there; its old agent is no longer heard", false),
    async (
      { client, context, terminal },
      name: string,
      options: { label: string[]; again: boolean; reason: string },
    ) => {
      const view = await client.servers.add.mutate({
        server: name,
        labels: labelPairs(options.label),
        again: options.again,
        reason: options.reason,
      });
      const { hostname } = new URL(context.url);
      print(terminal, view, () => [
        `server ${view.server} is known; on it, as root, run once:`,
        `  sluice-agent run --control ${context.url} --join ${view.token}`,
        ...(isLoopback(hostname)
          ? [`${hostname} is this machine: put in control's address as ${view.server} reaches it`]
          : []),
      ]);
    },
  );

  action(
    server
      .command("ls")
      .description("all servers, or those with a label")
      .option("--label <key=value>", "only with this label, repeatable", collect, []),
    async ({ client, terminal }, options: { label: string[] }) => {
      const rows = await client.servers.ls.query({ labels: labelPairs(options.label) });
      print(terminal, rows, () =>
        table(terminal, {
          none: options.label.length > 0 ? "no servers with these labels" : "no servers",
          rows,
          columns: [
            { heading: "SERVER", cell: (row) => row.server },
            { heading: "STATE", cell: (row) => row.state, paint: (row) => colorOf(row.state) },
            {
              heading: "CONNECTED",
              cell: (row) => (row.connected ? "yes" : "no"),
              paint: (row) => (row.connected ? "green" : "red"),
            },
            { heading: "SEEN", cell: (row) => timeText(terminal, row.lastSeenAt), optional: true },
            { heading: "GENERATION", cell: (row) => `${row.confirmedGeneration}/${row.generation}` },
            { heading: "POLICIES", cell: (row) => assignedText(row.assigned), wraps: true },
            { heading: "LABELS", cell: (row) => labelsText(row.labels) || "-", wraps: true },
          ],
        }),
      );
    },
  );

  action(
    server
      .command("show")
      .description("one server: what it is, what it holds, what differs")
      .argument("<server>", "its name", nameArgument),
    async ({ client, terminal }, name: string) => {
      const view = await client.servers.show.query({ server: name });
      print(terminal, view, () => serverLines(terminal, view));
    },
  );

  action(
    withReason(server.command("label"))
      .description("set labels or take them away; what the server is to hold may change with them")
      .argument("<server>", "its name", nameArgument)
      .argument("<labels...>", "key=value sets one, key- takes it away"),
    async ({ client, terminal }, name: string, words: string[], options: { reason: string }) => {
      const { set, unset } = labelArguments(words);
      const view = await client.servers.label.mutate({ server: name, set, unset, reason: options.reason });
      print(terminal, view, () => [
        `${view.server}: ${labelsText(view.labels) || "no labels"}`,
        ...(view.generation === undefined ? [] : [`what it holds changes: generation ${view.generation}`]),
        ...(view.waitsFor === undefined
          ? []
          : [`what it holds changes once generation ${view.waitsFor} has its outcome`]),
        ...(view.problem === undefined ? [] : [`it keeps what it holds: ${view.problem}`]),
      ]);
    },
  );
}

function serverLines(terminal: Terminal, view: ServerView): string[] {
  const lists = Object.entries(view.lists).map(([list, rev]) => {
    const fill = view.fill?.[list];
    return `${list}@${rev}${fill === undefined ? "" : ` (${fill.entries} of ${fill.room})`}`;
  });
  return [
    `${terminal.paint("bold", view.server)}  ${terminal.paint(colorOf(view.state), view.state)}`,
    `labels      ${labelsText(view.labels) || "-"}`,
    `connected   ${view.connected ? "yes" : "no"}, last seen ${seenText(terminal, view.lastSeenAt)}`,
    `enrolled    ${seenText(terminal, view.enrolledAt)}`,
    `generation  ${view.confirmedGeneration} confirmed of ${view.generation} (epoch ${view.epoch})`,
    `policies    ${assignedText(view.assigned)}`,
    `lists       ${lists.join(", ") || "-"}`,
    ...(view.pausedUntil === undefined ? [] : [`paused      until ${exactTime(view.pausedUntil)} UTC`]),
    ...(view.uninstalledAt === undefined ? [] : [`uninstalled ${exactTime(view.uninstalledAt)} UTC`]),
    ...(view.witness === undefined ? [] : [`witness     ${witnessText(terminal, view.witness)}`]),
    ...(view.failure ? [`failed at   ${view.failure.step}: ${view.failure.reason}`] : []),
    ...(view.facts
      ? [
          `kernel      ${view.facts.kernel}, iptables ${view.facts.capabilities.iptables.version} (${view.facts.capabilities.iptables.backend})`,
          `devices     ${view.facts.devices.map(({ name, addresses }) => [name, ...addresses].join(" ")).join("; ")}`,
        ]
      : []),
    ...(view.drift.length > 0 ? ["drift", ...differenceLines(terminal, view.drift, "  ")] : []),
  ];
}

function witnessText(terminal: Terminal, { seq, at, holds }: NonNullable<ServerView["witness"]>): string {
  const text = `of event ${seq} of the audit log, heard ${exactTime(at)} UTC`;
  if (holds) return text;
  return terminal.paint("red", `${text}: THE LOG HAS ANOTHER HISTORY NOW, see sluice audit verify`);
}

function seenText(terminal: Terminal, iso: string | undefined): string {
  if (iso === undefined) return "never";
  return terminal.width === undefined
    ? `${exactTime(iso)} UTC`
    : `${exactTime(iso)} UTC, ${timeText(terminal, iso)}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

function colorOf(state: string): "green" | "red" | "yellow" | "dim" {
  if (state === "converged") return "green";
  if (state === "failed" || state === "drifted") return "red";
  return state === "added" || state === "empty" ? "dim" : "yellow";
}
