import type { DriftView } from "@sluice/proto/api/drift";
import type { ServerRowView } from "@sluice/proto/api/servers";
import type { Command } from "commander";
import { nameArgument, pageArgument } from "../arguments.ts";
import { action, print, withExamples, withReason } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { differenceLines } from "../render/differences.ts";
import { table } from "../render/table.ts";
import { counted, exactTime, timeText } from "../render/text.ts";

export function addDriftCommands(program: Command): void {
  const drift = withExamples(
    program.command("drift").description("where kernels differ from what they are to hold"),
    [
      "sluice drift ls --all          also what was repaired, newest first",
      "sluice drift show web-3        asks the server now",
      'sluice drift repair web-3 --reason "put the rules back"',
    ],
  );

  action(
    drift
      .command("ls")
      .description("what differs now; exits 3 where anything does")
      .option("--server <name>", "only this one", nameArgument)
      .option("--all", "repaired ones too, newest first", false)
      .option("--limit <n>", "how many", pageArgument, 50),
    async ({ client, terminal }, options: { server?: string; all: boolean; limit: number }) => {
      const rows = await client.drift.ls.query(options);
      const servers = rows.length > 0 || options.all ? [] : await client.servers.ls.query({});
      const asked = servers.filter(({ server }) => options.server === undefined || server === options.server);
      print(terminal, rows, () =>
        table(terminal, {
          none: options.all ? "no drift was seen yet" : withoutDriftText(asked),
          rows,
          columns: [
            { heading: "SERVER", cell: (row) => row.server },
            { heading: "AT", cell: (row) => timeText(terminal, row.at) },
            {
              heading: "WHAT",
              cell: ({ differences }) =>
                differences.map(({ object, kind }) => `${object} ${kind}`).join(", "),
              wraps: true,
            },
            {
              heading: "ACTION",
              cell: actionText,
              paint: (row) => (row.action === "repaired" ? "green" : "red"),
              wraps: true,
            },
            { heading: "BY", cell: culpritText, wraps: true },
            { heading: "TIMES", cell: (row) => String(row.count), optional: true },
          ],
        }),
      );
      return rows.some(({ current }) => current) ? EXIT.halted : EXIT.done;
    },
  );

  action(
    drift
      .command("show")
      .description("ask one server now, and its history; exits 3 if it differs")
      .argument("<server>", "its name", nameArgument),
    async ({ client, terminal }, server: string) => {
      const view = await client.drift.show.query({ server });
      const now = view.asked;
      if (!now.ok) terminal.err(`sluice: ${server} can't be asked: ${now.reason}`);
      print(terminal, view, () => [
        ...(now.ok ? [stateText(server, now.differences.length)] : []),
        ...(now.ok ? differenceLines(terminal, now.differences, "  ") : []),
        ...view.history.flatMap((one) => [
          `${exactTime(one.at)} UTC ${actionText(one)}, by ${culpritText(one)}${one.count > 1 ? `, ${one.count} times` : ""}`,
          ...differenceLines(terminal, one.differences, "  "),
        ]),
      ]);
      if (!now.ok) return EXIT.fault;
      return now.differences.length > 0 ? EXIT.halted : EXIT.done;
    },
  );

  action(
    withReason(drift.command("repair"))
      .description("have one server mend what differs, now; exits 3 if it can't")
      .argument("<server>", "its name", nameArgument),
    async ({ client, terminal }, server: string, options: { reason: string }) => {
      const view = await client.drift.repair.mutate({ server, reason: options.reason });
      print(terminal, view, () => [
        view.differences.length === 0
          ? `${server}: nothing differed`
          : `${server}: ${view.repaired ? "repaired" : "could not repair"} ${counted(view.differences.length, "difference")}`,
        ...differenceLines(terminal, view.differences, "  "),
      ]);
      return view.repaired || view.differences.length === 0 ? EXIT.done : EXIT.halted;
    },
  );
}

/** Of a server that isn't heard nobody knows. */
export function withoutDriftText(servers: readonly Pick<ServerRowView, "server" | "connected">[]): string {
  const silent = servers.filter(({ connected }) => !connected).map(({ server }) => server);
  return silent.length === 0
    ? "no drift: every kernel holds what it is to hold"
    : `no drift is known; not heard: ${silent.join(", ")}`;
}

function stateText(server: string, differences: number): string {
  return differences === 0
    ? `${server}: holds exactly what it is to hold`
    : `${server}: ${counted(differences, "difference")}`;
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
