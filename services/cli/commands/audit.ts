import type { AuditAtView, AuditEventView } from "@sluice/proto/api/audit";
import { EVENT_TYPES } from "@sluice/proto/events/event";
import { type Command, InvalidArgumentError } from "commander";
import { countArgument, nameArgument, pageArgument, timeArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, table } from "../render/table.ts";
import { assignedText, counted, exactTime } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

interface LogOptions {
  policy?: string;
  server?: string;
  list?: string;
  rollout?: string;
  actor?: string;
  type: string[];
  correlation?: string;
  since?: string;
  until?: string;
  text?: string;
  limit: number;
  before?: number;
}

const TIME_HELP = "2026-03-01T14:02:00Z, '2026-03-01 14:02' (UTC), or 2h for two hours ago";

export function addAuditCommands(program: Command): void {
  const audit = withExamples(
    program.command("audit").description("who changed what, when, why, and where it took effect"),
    [
      "sluice audit log --policy web-edge --since 2d",
      "sluice audit log --server web-3 --type DriftDetected",
      'sluice audit log --actor alice --text "open 443"',
      "sluice audit at --time '2026-03-01 14:02' --server web-3",
      "sluice audit verify",
    ],
  );

  action(
    audit
      .command("log")
      .description("events, newest first")
      .option("--policy <name>", "of this policy", nameArgument)
      .option("--server <name>", "on this server", nameArgument)
      .option("--list <name>", "of this live list", nameArgument)
      .option("--rollout <id>", "of this rollout")
      .option("--actor <name>", "by this actor: a token's name, agent:SERVER, or sluice itself")
      .option("--type <type>", "of this type, such as PolicyRevised; repeatable", typeArgument, [])
      .option("--correlation <id>", "one command and all that followed from it")
      .option("--since <time>", TIME_HELP, timeArgument)
      .option("--until <time>", "the same", timeArgument)
      .option("--text <words>", "anywhere in the event or its reason")
      .option("--before <seq>", "the page before this event", countArgument)
      .option("--limit <n>", "how many", pageArgument, 50),
    async ({ client, terminal }, options: LogOptions) => {
      const { type, ...rest } = options;
      const view = await client.audit.log.query({ ...rest, ...(type.length > 0 ? { types: type } : {}) });
      print(terminal, view, () =>
        table(terminal, { none: "no events", rows: view.events, columns: eventColumns(terminal) }),
      );
      if (view.next !== undefined && !terminal.json) terminal.err(`more with --before ${view.next}`);
    },
  );

  action(
    audit
      .command("at")
      .description("what was in force at a time: what each server was to hold, and had proven to hold")
      .requiredOption("--time <time>", TIME_HELP, timeArgument)
      .option("--server <name>", "only on this server", nameArgument),
    async ({ client, terminal }, options: { time: string; server?: string }) => {
      const view = await client.audit.at.query(options);
      print(terminal, view, () => atLines(terminal, view));
    },
  );

  action(
    audit.command("verify").description("walk the hash chain from the first event to the last"),
    async ({ client, terminal }) => {
      const view = await client.audit.verify.query();
      print(terminal, view, () => [
        view.ok
          ? `${counted(view.events, "event")}, unbroken; head ${view.head.seq} ${view.head.hash}`
          : `broken at event ${view.broken?.seq}: ${view.broken?.message}`,
      ]);
      return view.ok ? EXIT.done : EXIT.halted;
    },
  );
}

function typeArgument(text: string, before: readonly string[] = []): string[] {
  const found = EVENT_TYPES.find((type) => type.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw new InvalidArgumentError(`one of ${EVENT_TYPES.join(", ")}`);
  return [...before, found];
}

function eventColumns(terminal: Terminal): Column<AuditEventView>[] {
  return [
    { heading: "SEQ", cell: ({ seq }) => String(seq) },
    { heading: "AT (UTC)", cell: ({ at }) => shortTime(terminal, at) },
    { heading: "ACTOR", cell: ({ actor }) => actor },
    { heading: "TYPE", cell: ({ type }) => type, optional: true },
    { heading: "WHAT", cell: ({ summary }) => summary, wraps: true },
    { heading: "REASON", cell: ({ reason }) => reason || "-", wraps: true },
  ];
}

/** On a terminal today's events without the date. */
function shortTime(terminal: Terminal, iso: string): string {
  const exact = exactTime(iso);
  const today = exactTime(terminal.now().toISOString()).slice(0, 10);
  return terminal.width !== undefined && exact.startsWith(today) ? exact.slice(11) : exact;
}

function atLines(terminal: Terminal, view: AuditAtView): string[] {
  return [
    `at ${exactTime(view.time)} UTC, after event ${view.seq}${view.frozen ? ", the fleet frozen" : ""}`,
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
    ...view.lists.map(({ list, rev, entries }) => `list ${list}: rev ${rev}, ${counted(entries, "entry")}`),
  ];
}
