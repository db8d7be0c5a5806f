import type { DriftView } from "@sluice/proto/api/drift";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { action, countArgument, print, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { differenceLines } from "../render/differences.ts";
import { table, timeText } from "../render/table.ts";

export function addDriftCommands(program: Command): void {
  const drift = program.command("drift").description("where kernels differ from what they are to hold");

  action(
    drift
      .command("ls")
      .description("what differs now; exits 3 where anything does")
      .option("--server <name>", "only this one")
      .option("--all", "repaired ones too, newest first", false)
      .option("--limit <n>", "how many", countArgument, 50),
    async ({ client, terminal }, options: { server?: string; all: boolean; limit: number }) => {
      const rows = await client.drift.ls.query(options);
      print(terminal, rows, () =>
        table(
          ["SERVER", "AT", "WHAT", "ACTION", "BY", "TIMES"],
          rows.map((row) => [
            row.server,
            timeText(row.at),
            row.differences.map((one) => `${one.object} ${one.kind}`).join(", "),
            terminal.paint(row.action === "repaired" ? "green" : "red", actionText(row)),
            culpritText(row),
            String(row.count),
          ]),
        ),
      );
      return rows.some(({ current }) => current) ? EXIT.halted : EXIT.done;
    },
  );

  action(
    drift.command("show <server>").description("ask one server now, and its history; exits 3 if it differs"),
    async ({ client, terminal }, server: string) => {
      const view = await client.drift.show.query({ server });
      const now = view.asked;
      print(terminal, view, () => [
        now.ok
          ? now.differences.length === 0
            ? `${server}: holds exactly what it is to hold`
            : `${server}: ${now.differences.length} differences`
          : `${server}: ${now.reason}`,
        ...(now.ok ? differenceLines(terminal, now.differences, "  ") : []),
        ...view.history.flatMap((one) => [
          `${timeText(one.at)} ${actionText(one)}, by ${culpritText(one)}`,
          ...differenceLines(terminal, one.differences, "  "),
        ]),
      ]);
      if (!now.ok) throw new SluiceError("UNAVAILABLE", now.reason);
      return now.differences.length > 0 ? EXIT.halted : EXIT.done;
    },
  );

  action(
    withReason(drift.command("repair <server>")).description("have one server mend what differs, now"),
    async ({ client, terminal }, server: string, options: { reason: string }) => {
      const view = await client.drift.repair.mutate({ server, reason: options.reason });
      print(terminal, view, () => [
        view.differences.length === 0
          ? `${server}: nothing differed`
          : `${server}: ${view.repaired ? "repaired" : "could not repair"} ${view.differences.length} differences`,
        ...differenceLines(terminal, view.differences, "  "),
      ]);
      return view.repaired || view.differences.length === 0 ? EXIT.done : EXIT.halted;
    },
  );
}

function actionText(row: DriftView): string {
  const took = row.repairedMs === undefined ? "" : ` in ${Math.round(row.repairedMs)} ms`;
  return `${row.action}${took}${row.reason === undefined ? "" : ` (${row.reason})`}`;
}

function culpritText({ by }: DriftView): string {
  if (by === undefined) return "unknown";
  const { user, tool, pid, command } = by;
  const who = [user, command ?? tool].filter(Boolean).join(" ") || "unknown";
  return pid === undefined ? who : `${who} (pid ${pid})`;
}
