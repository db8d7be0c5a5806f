import { queryHistory } from "@sluice/db/history/query";
import { type RecordedEvent, upcastEvent } from "@sluice/db/log/upcast-events";
import { ERASED } from "@sluice/db/projections/decided-by";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { AuditTimelineView, auditTimelineInput } from "@sluice/proto/api/audit";
import type { EventType } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import type { Culprit } from "@sluice/proto/wire/report";
import { inArray } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { archivedSince } from "./archived-files.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { summaryOf } from "./summary.ts";

type Entry = AuditTimelineView["entries"][number];

const KINDS: Partial<Record<EventType, Entry["kind"]>> = {
  AssignmentDecided: "change",
  ServerProven: "outcome",
  ServerConfirmed: "outcome",
  ServerRefused: "outcome",
  ServerReverted: "revert",
  DriftDetected: "drift",
  DriftRepairAsked: "drift",
  ServerPaused: "pause",
  ServerResumed: "pause",
  ServerAdded: "server",
  ServerEnrolled: "server",
  ServerLabelled: "server",
  ServerUninstalled: "server",
  MessageRejected: "server",
};

/** All that happened to a server, newest first: what, who caused it, and why. */
export async function auditTimeline(
  { database }: Pick<Context, "database">,
  { cursor, limit, ...asked }: z.output<typeof auditTimelineInput>,
): Promise<AuditTimelineView> {
  const { server, since: from, until: to } = asked;
  const before = cursor === undefined ? undefined : readCursor(cursor, asked);
  const types = Object.keys(KINDS);
  const { rows, next } = await queryHistory(database, { server, types, from, to, before, limit });
  const events = rows.flatMap((row) => upcastEvent(row, upcast) ?? []);
  const rollouts = await startersOf(
    database,
    events.flatMap(({ keys }) => keys.rollout ?? []),
  );
  const entries = events.flatMap((event) => entryOf(event, rollouts) ?? []);
  const more =
    next === undefined ? await archivedSince({ database }, from) : { cursor: writeCursor(next, asked) };
  return { server, entries, ...more };
}

type Starter = { actor: string; reason: string };

async function startersOf(
  { db }: Context["database"],
  rollouts: readonly string[],
): Promise<Map<string, Starter>> {
  const rows = await db
    .select({ rollout: rolloutTable.rollout, actor: rolloutTable.actor, reason: rolloutTable.reason })
    .from(rolloutTable)
    .where(inArray(rolloutTable.rollout, [...new Set(["", ...rollouts])]));
  return new Map(rows.map((row) => [row.rollout, row]));
}

function entryOf(event: RecordedEvent, rollouts: ReadonlyMap<string, Starter>): Entry | undefined {
  const kind = KINDS[event.type];
  if (kind === undefined) return undefined;
  const { rollout } = event.keys;
  const { at, actor, reason } = event.meta;
  const started = rollout === undefined ? undefined : rollouts.get(rollout);
  const culprit = event.type === "DriftDetected" ? event.data.by : undefined;
  return {
    seq: event.seq,
    at,
    kind,
    what: summaryOf(event),
    who: culprit === undefined ? (started?.actor ?? actor ?? ERASED) : nameOf(culprit),
    why: culprit?.command ?? started?.reason ?? reason ?? ERASED,
    ...(rollout !== undefined && { rollout }),
  };
}

function nameOf({ user, tool, pid }: Culprit): string {
  const process = [tool, pid === undefined ? undefined : `pid ${pid}`].filter((one) => one !== undefined);
  if (user === undefined) return process.join(" ") || "somebody on the server";
  return process.length === 0 ? user : `${user} (${process.join(" ")})`;
}
