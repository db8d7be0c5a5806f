import type { AuditEventView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { action, collect, countArgument, print, timeArgument } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { table, timeText } from "../render/table.ts";

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

export function addAuditCommands(program: Command): void {
  const audit = program.command("audit").description("who changed what, when, why, and where it took effect");

  action(
    audit
      .command("log")
      .description("events, newest first")
      .option("--policy <name>", "of this policy")
      .option("--server <name>", "on this server")
      .option("--list <name>", "of this live list")
      .option("--rollout <id>", "of this rollout")
      .option("--actor <name>", "by this actor")
      .option("--type <type>", "of this type, repeatable", collect, [])
      .option("--correlation <id>", "one command and all that followed from it")
      .option("--since <time>", "from then: 2026-03-01T14:02:00Z, or 2h for two hours ago", timeArgument)
      .option("--until <time>", "until then", timeArgument)
      .option("--text <words>", "anywhere in the event or its reason")
      .option("--before <seq>", "the page before this event", countArgument)
      .option("--limit <n>", "how many", countArgument, 50),
    async ({ client, terminal }, options: LogOptions) => {
      const { type, ...rest } = options;
      const view = await client.audit.log.query({ ...rest, ...(type.length > 0 ? { types: type } : {}) });
      print(terminal, view, () =>
        table(["SEQ", "AT", "ACTOR", "TYPE", "WHAT", "REASON"], view.events.map(eventRow)),
      );
      if (view.next !== undefined && !terminal.json) terminal.err(`more with --before ${view.next}`);
    },
  );

  action(
    audit
      .command("at")
      .description("what was in force at a time")
      .requiredOption("--time <time>", "2026-03-01T14:02:00Z, or 2h for two hours ago", timeArgument)
      .option("--server <name>", "only on this server"),
    async ({ client, terminal }, options: { time: string; server?: string }) => {
      const view = await client.audit.at.query(options);
      print(terminal, view, () => [
        `at ${timeText(view.time)}, after event ${view.seq}${view.frozen ? ", the fleet frozen" : ""}`,
        ...table(
          ["SERVER", "HELD", "GENERATION", "DECIDED", "BY", "REASON"],
          view.servers.map(({ server, decided, confirmed }) => [
            server,
            confirmed?.assigned.map(({ policy, revision }) => `${policy}@${revision}`).join(",") || "-",
            `${confirmed?.generation ?? 0}/${decided?.generation ?? 0}`,
            timeText(decided?.by.at),
            decided?.by.actor ?? "-",
            decided?.by.reason || "-",
          ]),
        ),
        ...view.lists.map(({ list, rev, entries }) => `list ${list}: rev ${rev}, ${entries} entries`),
      ]);
    },
  );

  action(
    audit.command("verify").description("walk the hash chain from the first event to the last"),
    async ({ client, terminal }) => {
      const view = await client.audit.verify.query();
      print(terminal, view, () => [
        view.ok
          ? `${view.events} events, unbroken; head ${view.head.seq} ${view.head.hash}`
          : `broken at event ${view.broken?.seq}: ${view.broken?.message}`,
      ]);
      return view.ok ? EXIT.done : EXIT.halted;
    },
  );
}

function eventRow(event: AuditEventView): string[] {
  return [String(event.seq), timeText(event.at), event.actor, event.type, event.summary, event.reason || "-"];
}
