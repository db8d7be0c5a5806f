import type { AuditEventView } from "@sluice/proto/api/audit";
import { EVENT_TYPES } from "@sluice/proto/events/event";
import { type Command, InvalidArgumentError } from "commander";
import { countArgument, nameArgument, pageArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, type Invocation, print } from "../command.ts";
import { tellArchived } from "../render/archived.ts";
import { type Column, table } from "../render/table.ts";
import { exactTime } from "../render/text.ts";
import { streamAuditLog } from "../stream-audit-log.ts";
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
  cursor?: string;
  all: boolean;
}

export function addAuditLog(audit: Command): void {
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
      .option(
        "--text <words>",
        'all of these stand in the event, its actor or its reason; a phrase in "quotes" as it is',
      )
      .option("--before <seq>", "the page before this event", countArgument)
      .option("--cursor <cursor>", "the next page of the same question")
      .option("--limit <n>", "how many", pageArgument, 50)
      .option("--all", "all of them, a line each as they come; with --json as NDJSON", false),
    async (invocation, { all, type, ...rest }: LogOptions) => {
      const question = { ...rest, ...(type.length > 0 ? { types: type } : {}) };
      if (all) await printAll(invocation, question);
      else await printPage(invocation, question);
    },
  );
}

type Question = Omit<LogOptions, "all" | "type"> & { types?: string[] };

async function printPage({ client, terminal }: Invocation, question: Question): Promise<void> {
  const view = await client.audit.log.query(question);
  print(terminal, view, () =>
    table(terminal, { none: "no events", rows: view.events, columns: eventColumns(terminal) }),
  );
  if (view.cursor !== undefined && !terminal.json) terminal.err(`more with --cursor ${view.cursor}`);
  if (!terminal.json) tellArchived(terminal, view.archived);
}

async function printAll(
  { client, context, terminal, signal }: Invocation,
  question: Question,
): Promise<void> {
  const { limit: _, before: __, cursor: ___, ...filter } = question;
  for await (const line of streamAuditLog(context, filter, signal)) {
    await terminal.taken();
    terminal.out(terminal.json ? line : eventLine(JSON.parse(line)));
  }
  const { archived } = await client.audit.log.query({ ...filter, before: 1 });
  tellArchived(terminal, archived);
}

function eventLine({ seq, at, actor, summary, reason }: AuditEventView): string {
  return `${seq}  ${exactTime(at)}  ${actor}  ${summary}${reason === "" ? "" : `  (${reason})`}`;
}

export function typeArgument(text: string, before: readonly string[] = []): string[] {
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
export function shortTime(terminal: Terminal, iso: string): string {
  const exact = exactTime(iso);
  const today = exactTime(terminal.now().toISOString()).slice(0, 10);
  return terminal.width !== undefined && exact.startsWith(today) ? exact.slice(11) : exact;
}
