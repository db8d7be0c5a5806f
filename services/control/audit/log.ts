import { queryHistory } from "@sluice/db/history/query";
import type { HistoryFilter } from "@sluice/db/history/question";
import { readHead } from "@sluice/db/log/read";
import type { StoredEvent } from "@sluice/db/log/stored-event";
import { upcastEvent } from "@sluice/db/log/upcast-events";
import { ERASED } from "@sluice/db/projections/decided-by";
import type { AuditEventView, AuditLogView, auditFilter, auditLogInput } from "@sluice/proto/api/audit";
import { SluiceError } from "@sluice/proto/base/errors";
import { EVENT_TYPES, isEventType } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { z } from "zod";
import type { Context } from "../context/services.ts";
import { archivedSince } from "./archived-files.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { summaryOf } from "./summary.ts";

/** The log, newest first. */
export async function auditLog(
  { database }: Pick<Context, "database">,
  { before, cursor, limit, ...filter }: z.output<typeof auditLogInput>,
): Promise<AuditLogView> {
  const from = cursor === undefined ? before : readCursor(cursor, filter);
  const { rows, next } = await queryHistory(database, { ...asHistory(filter), before: from, limit });
  const more =
    next === undefined
      ? await archivedSince({ database }, filter.since)
      : { next, cursor: writeCursor(next, filter) };
  return { events: rows.map(viewEvent), ...more };
}

const ROWS_AT_ONCE = 500;

/** All of it, newest first, as it was when it was asked for; a page at a time is held. */
export async function* streamLog(
  { database }: Pick<Context, "database">,
  filter: z.output<typeof auditFilter>,
): AsyncGenerator<AuditEventView> {
  const history = asHistory(filter);
  const { seq } = await readHead(database.db);
  for (let before: number | undefined = seq + 1; before !== undefined; ) {
    const { rows, next } = await queryHistory(database, { ...history, before, limit: ROWS_AT_ONCE });
    yield* rows.map(viewEvent);
    before = next;
  }
}

export function asHistory({ since, until, ...filter }: z.output<typeof auditFilter>): HistoryFilter {
  const unknown = filter.types?.filter((type) => !isEventType(type)) ?? [];
  if (unknown.length > 0) {
    throw new SluiceError("INVALID", `there is no event type ${unknown.join(", ")}`, {
      cure: `the types are ${EVENT_TYPES.join(", ")}`,
    });
  }
  return { ...filter, from: since, to: until };
}

const anyData = z.record(z.string(), z.unknown());

/** As it was stored; the summary is of today's reading of it. */
export function viewEvent(stored: StoredEvent): AuditEventView {
  const { seq, type, stream, hash, data, meta } = stored;
  const event = upcastEvent(stored, upcast);
  return {
    ...{ seq, type, stream, hash },
    at: meta.at,
    actor: meta.actor ?? ERASED,
    reason: meta.reason ?? ERASED,
    correlation: meta.correlation,
    summary: event ? summaryOf(event) : `${type}, which this version doesn't know`,
    data: anyData.parse(event?.data ?? data),
  };
}
