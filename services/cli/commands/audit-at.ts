import type { AuditAtView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { countArgument, nameArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { table } from "../render/table.ts";
import { assignedText, counted, exactTime } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

interface AtOptions {
  time: string;
  server?: string;
  policy?: string;
  list?: string;
  after?: string;
  limit?: number;
}

export function addAuditAt(audit: Command): void {
  action(
    audit
      .command("at")
      .description("what was in force at a time: on the fleet, on one server, of one policy or one list")
      .requiredOption("--time <time>", TIME_HELP, timeArgument)
      .option("--server <name>", "only on this server, with what its lists held", nameArgument)
      .option("--policy <name>", "this policy, and the servers that held it", nameArgument)
      .option("--list <name>", "what this live list held", nameArgument)
      .option("--limit <n>", "at most so many servers, or entries of the list", countArgument)
      .option("--after <name>", "the next page: after this server or entry"),
    async ({ client, terminal }, options: AtOptions) => {
      const view = await client.audit.at.query(options);
      print(terminal, view, () => atLines(terminal, view, options));
      if (view.next !== undefined && !terminal.json) terminal.err(`more with --after ${view.next}`);
    },
  );
}

function atLines(terminal: Terminal, view: AuditAtView, { list }: AtOptions): string[] {
  return [
    `at ${exactTime(view.time)} UTC, after ${view.archived === undefined ? `event ${view.seq}` : `an event that is archived`}${view.frozen ? ", the fleet frozen" : ""}`,
    ...policyLines(view),
    ...(list === undefined ? serverLines(terminal, view) : []),
    ...view.lists.flatMap(({ list: name, rev, entries, content }) => [
      `list ${name}: rev ${rev}, ${counted(entries, "entry")}`,
      ...(content ?? []).map(({ entry, until }) => `  ${entry}${until ? ` until ${exactTime(until)}` : ""}`),
      ...(content && content.length < entries && list === undefined
        ? [`  … sluice audit at --list ${name} shows all`]
        : []),
    ]),
  ];
}

function policyLines({ policy }: AuditAtView): string[] {
  if (policy === undefined) return [];
  const { revision, revised } = policy;
  return [
    `${policy.policy} was at revision ${revision}, by ${revised.actor} at ${exactTime(revised.at)}: ${revised.reason || "no reason given"}`,
  ];
}

function serverLines(terminal: Terminal, view: AuditAtView): string[] {
  const single = view.servers.length === 1 ? view.servers[0]?.confirmed : undefined;
  return [
    ...table(terminal, {
      none: "no servers then",
      rows: view.servers,
      columns: [
        { heading: "SERVER", cell: ({ server }) => server },
        { heading: "HELD", cell: ({ confirmed }) => assignedText(confirmed?.assigned ?? []), wraps: true },
        { heading: "TO HOLD", cell: ({ decided }) => assignedText(decided?.assigned ?? []), wraps: true },
        {
          heading: "GENERATION",
          cell: ({ confirmed, decided }) => `${confirmed?.generation ?? 0}/${decided?.generation ?? 0}`,
        },
        { heading: "DECIDED", cell: ({ decided }) => exactTime(decided?.by.at), optional: true },
        { heading: "BY", cell: ({ decided }) => decided?.by.actor ?? "-" },
        { heading: "REASON", cell: ({ decided }) => decided?.by.reason || "-", wraps: true },
      ],
    }),
    ...(single === undefined ? [] : [`manifest ${single.manifest}, held since ${exactTime(single.at)}`]),
  ];
}
