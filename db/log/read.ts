import { SluiceError } from "@sluice/proto/base/errors";
import { and, asc, eq, gt, inArray, lte, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events, head } from "../schema/events.ts";
import { personalBeside } from "./personal-beside.ts";
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

/** Up to `limit` events after the position, up to the event `upTo`. Among archived ones there are gaps (archived.ts). */
export async function readPage(
  db: Queryable,
  after: number,
  limit: number,
  upTo?: number,
): Promise<StoredEvent[]> {
  const rows = await selectStored(db)
    .where(and(gt(events.seq, after), upTo === undefined ? undefined : lte(events.seq, upTo)))
    .orderBy(asc(events.seq))
    .limit(limit);
  return rows.map(toStored);
}

/** The events of some types in a stretch of the log, which ends `span` seqs after the position, or at the head. */
export interface Stretch {
  events: StoredEvent[];
  /** the position up to which it goes */
  upTo: number;
  /** the head's */
  newest: number;
  isLast: boolean;
}

/**
 * One statement: what is up to the head that it tells was there for it to read. Throws CONFLICT where events may be missing
 * that are archived.
 */
export async function readStretch(
  db: Queryable,
  { after, span, types }: { after: number; span: number; types: readonly string[] },
): Promise<Stretch> {
  const to = after + span;
  const within = and(gt(events.seq, after), lte(events.seq, to), lte(events.seq, head.seq));
  const beside = personalBeside(db);
  const rows = await db
    .select({
      newest: head.seq,
      archivedTo: sql`coalesce((select up_to from archived), 0)`.mapWith(Number),
      event: { seq: events.seq, hash: events.hash, body: events.body },
      ...{ actor: beside.actor, reason: beside.reason },
    })
    .from(head)
    .leftJoin(events, and(within, inArray(events.type, [...types])))
    .leftJoinLateral(beside, sql`true`)
    .orderBy(asc(events.seq));
  const { newest = 0, archivedTo = 0 } = rows[0] ?? {};
  if (after < archivedTo) throw missing(after + 1, archivedTo, "what is made of all events");
  return {
    events: rows.flatMap(({ event, ...its }) => (event === null ? [] : [toStored({ ...event, ...its })])),
    upTo: Math.max(after, Math.min(to, newest)),
    newest,
    isLast: newest <= to,
  };
}

/** Throws CONFLICT where events are missing between the position and the page, or in it. */
export function mustFollow(after: number, page: readonly { seq: number }[], who: string): void {
  let last = after;
  for (const { seq } of page) {
    if (seq !== last + 1) throw missing(last + 1, seq - 1, who);
    last = seq;
  }
}

function missing(from: number, to: number, who: string): SluiceError {
  return new SluiceError(
    "CONFLICT",
    `${who} can't be made without events ${from} to ${to}, which aren't in the log`,
    {
      cure: "where they are archived: sluice-control rebuild --archive FILE",
    },
  );
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
