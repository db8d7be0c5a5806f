import type { AuditAtView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { nameArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { table } from "../render/table.ts";
import { assignedText, counted, exactTime } from "../render/text.ts";
import type { Terminal } from "../terminal.ts";

export function addAuditAt(audit: Command): void {
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
