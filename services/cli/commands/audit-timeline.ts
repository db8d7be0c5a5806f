import type { AuditTimelineView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { nameArgument, pageArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { tellArchived } from "../render/archived.ts";
import { table } from "../render/table.ts";
import type { Color } from "../terminal.ts";
import { shortTime } from "./audit-log.ts";

interface TimelineOptions {
  since?: string;
  until?: string;
  cursor?: string;
  limit: number;
}

type Kind = AuditTimelineView["entries"][number]["kind"];

const COLORS: Readonly<Record<Kind, Color>> = {
  change: "cyan",
  outcome: "green",
  revert: "red",
  drift: "yellow",
  pause: "yellow",
  server: "dim",
};

export function addAuditTimeline(audit: Command): void {
  action(
    audit
      .command("timeline")
      .description("all that happened to a server, newest first: changes, drift, undos, and who caused them")
      .argument("<server>", "its name", nameArgument)
      .option("--since <time>", TIME_HELP, timeArgument)
      .option("--until <time>", "the same", timeArgument)
      .option("--cursor <cursor>", "the next page of the same question")
      .option("--limit <n>", "how many", pageArgument, 50),
    async ({ client, terminal }, server: string, options: TimelineOptions) => {
      const view = await client.audit.timeline.query({ server, ...options });
      print(terminal, view, () =>
        table(terminal, {
          none: "nothing",
          rows: view.entries,
          columns: [
            { heading: "AT (UTC)", cell: ({ at }) => shortTime(terminal, at) },
            { heading: "KIND", cell: ({ kind }) => kind, paint: ({ kind }) => COLORS[kind] },
            { heading: "WHAT", cell: ({ what }) => what, wraps: true },
            { heading: "WHO", cell: ({ who }) => who, wraps: true },
            { heading: "WHY", cell: ({ why }) => why || "-", wraps: true },
          ],
        }),
      );
      if (view.cursor !== undefined && !terminal.json) terminal.err(`more with --cursor ${view.cursor}`);
      if (!terminal.json) tellArchived(terminal, view.archived);
    },
  );
}
