import { and, asc, eq, gt, lte } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events, head } from "../schema/events.ts";
import { type StoredEvent, selectStored, toStored } from "./stored-event.ts";

/**
 * Reading the log. What is read by `seq > last` is complete and in the order of commits: appends stand in line,
 * so no smaller seq ever becomes visible after a greater one.
 */
export interface Position {
  seq: number;
  /** 64 hex digits; zeros for an empty log. */
  hash: string;
}

/** The newest event's place; seq 0 for an empty log. */
export async function readHead(db: Queryable): Promise<Position> {
  const [row] = await db.select({ seq: head.seq, hash: head.hash }).from(head);
  if (!row) throw new Error("the log has no head row");
  return { seq: row.seq, hash: row.hash.toString("hex") };
}

/** Up to `limit` events after the position. */
export async function readPage(db: Queryable, after: number, limit: number): Promise<StoredEvent[]> {
  const rows = await selectStored(db).where(gt(events.seq, after)).orderBy(asc(events.seq)).limit(limit);
  return rows.map(toStored);
}

/** Every event after the position, page by page; ends at what was the newest when the last page was read. */
export async function* readAll(
  db: Queryable,
  { after = 0, pageSize = 500 }: { after?: number; pageSize?: number } = {},
): AsyncGenerator<StoredEvent> {
  for (let last = after; ; ) {
    const page = await readPage(db, last, pageSize);
    yield* page;
    last = page.at(-1)?.seq ?? last;
    if (page.length < pageSize) return;
  }
}

/** A stream's events in their order; `from` and `to` are stream versions, both included. */
export async function* readStream(
  db: Queryable,
  stream: string,
  { from = 1, to, pageSize = 500 }: { from?: number; to?: number; pageSize?: number } = {},
): AsyncGenerator<StoredEvent> {
  for (let next = from; ; ) {
    const rows = await selectStored(db)
      .where(
        and(
          eq(events.stream, stream),
          gt(events.streamVersion, next - 1),
          to === undefined ? undefined : lte(events.streamVersion, to),
        ),
      )
      .orderBy(asc(events.streamVersion))
      .limit(pageSize);
    yield* rows.map(toStored);
    next += rows.length;
    if (rows.length < pageSize) return;
  }
}

export async function readById(db: Queryable, id: string): Promise<StoredEvent | undefined> {
  const [row] = await selectStored(db).where(eq(events.id, id));
  return row && toStored(row);
}
