import { asc, eq, gt, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events, head } from "../schema/events.ts";
import { chainHash, type EventBody, KEYS, saltedDigest } from "./event-body.ts";
import type { Position } from "./read.ts";
import { actorOf, reasonOf } from "./stored-event.ts";

/**
 * Walks the whole chain and names the first event that isn't as it was written. The hashes are computed here, not
 * in SQL, so what wrote them doesn't judge them. Reads page by page: writers may go on, memory stays flat.
 *
 * The chain alone can't tell that its newest events were cut off with the head set back, or that all of it was
 * written anew: give the newest checkpoint kept outside the database.
 */
export type Fault =
  | "missing" // an event of this seq isn't there
  | "wrong-prev" // it doesn't follow the event before it: moved, or put in
  | "edited-body" // the body isn't the one that was hashed
  | "altered-hash" // the hash isn't the body's
  | "altered-column" // a column for queries says something else than the body
  | "altered-personal" // actor or reason isn't the one that was recorded
  | "truncated" // the newest events are gone
  | "beyond-head" // events stand after the newest one
  | "other-history"; // at the checkpoint stands another event than then

export type Verification =
  | { ok: true; events: number; head: Position }
  | { ok: false; seq: number; fault: Fault; message: string };

const pageSize = 1_000;

export async function verify(
  db: Queryable,
  { checkpoint }: { checkpoint?: Position } = {},
): Promise<Verification> {
  let previous: Buffer = Buffer.alloc(32);
  let seq = 0;
  for (;;) {
    const page = await readRows(db, seq);
    for (const [index, row] of page.entries()) {
      const following = page[index + 1]?.prevHash;
      const bad = await checkRow(row, seq + 1, previous, () => following ?? nextPrevHash(db, row.seq));
      if (bad) return bad;
      if (row.seq === checkpoint?.seq && row.hash.toString("hex") !== checkpoint.hash) {
        return fault(row.seq, "other-history", "isn't the one that stood here when the checkpoint was made");
      }
      seq = row.seq;
      previous = row.hash;
    }
    if (page.length < pageSize) break;
  }
  return (
    (await checkEnd(db, seq, checkpoint)) ?? {
      ok: true,
      events: seq,
      head: { seq, hash: previous.toString("hex") },
    }
  );
}

type Row = Awaited<ReturnType<typeof readRows>>[number];

function readRows(db: Queryable, after: number) {
  return db
    .select({
      seq: events.seq,
      stream: events.stream,
      streamVersion: events.streamVersion,
      id: events.id,
      type: events.type,
      schemaVersion: events.schemaVersion,
      body: events.body,
      prevHash: events.prevHash,
      hash: events.hash,
      at: events.at,
      correlation: events.correlation,
      policy: events.policy,
      server: events.server,
      list: events.list,
      rollout: events.rollout,
      actor: { salt: actorOf.salt, value: actorOf.value },
      reason: { salt: reasonOf.salt, value: reasonOf.value },
    })
    .from(events)
    .leftJoin(actorOf, sql`${actorOf.eventId} = ${events.id} and ${actorOf.field} = 'actor'`)
    .leftJoin(reasonOf, sql`${reasonOf.eventId} = ${events.id} and ${reasonOf.field} = 'reason'`)
    .where(gt(events.seq, after))
    .orderBy(asc(events.seq))
    .limit(pageSize);
}

async function checkRow(
  row: Row,
  expectedSeq: number,
  previous: Buffer,
  followingPrev: () => Promise<Buffer | undefined> | Buffer | undefined,
): Promise<Verification | undefined> {
  if (row.seq !== expectedSeq) return fault(expectedSeq, "missing", "isn't there");
  const hash = chainHash(previous, row.seq, row.body);
  if (!hash.equals(row.hash)) {
    // who follows still holds the hash as it was written
    return (await followingPrev())?.equals(hash)
      ? fault(row.seq, "altered-hash", "has a hash that isn't its body's")
      : fault(row.seq, "edited-body", "isn't the one that was written here");
  }
  if (!row.prevHash.equals(previous))
    return fault(row.seq, "wrong-prev", "doesn't follow the event before it");
  const body: EventBody = JSON.parse(row.body);
  const column = differingColumn(row, body);
  if (column)
    return fault(row.seq, "altered-column", `says another ${column} in its column than in its body`);
  for (const field of ["actor", "reason"] as const) {
    const kept = row[field];
    if (kept && saltedDigest(kept.salt, kept.value) !== body.meta[field]) {
      return fault(row.seq, "altered-personal", `has another ${field} than was recorded`);
    }
  }
  return undefined;
}

function differingColumn(row: Row, body: EventBody): string | undefined {
  if (row.at.getTime() !== Date.parse(body.meta.at)) return "at";
  if (row.correlation !== body.meta.correlation) return "correlation";
  const own = ["id", "stream", "streamVersion", "type", "schemaVersion"] as const;
  return (
    own.find((name) => row[name] !== body[name]) ?? KEYS.find((key) => row[key] !== (body.keys[key] ?? null))
  );
}

/** The previous hash in the event after this one, or in the head where this is the newest. */
async function nextPrevHash(db: Queryable, seq: number): Promise<Buffer | undefined> {
  const [next] = await db
    .select({ prev: events.prevHash })
    .from(events)
    .where(eq(events.seq, seq + 1));
  const [newest] = await db.select({ hash: head.hash }).from(head).where(eq(head.seq, seq));
  return next?.prev ?? newest?.hash;
}

/** The head must be the event that was read last, or one that was appended since. */
async function checkEnd(db: Queryable, seq: number, checkpoint: Position | undefined) {
  if (checkpoint && checkpoint.seq > seq)
    return fault(seq + 1, "truncated", "is gone: a checkpoint knows it");
  const [end] = await db
    .select({
      headSeq: head.seq,
      last: sql<number>`coalesce((select max(${events.seq}) from ${events}), 0)`.mapWith(Number),
      same: sql<boolean>`not exists (select from ${events} where ${events.seq} = ${head.seq} and ${events.hash} <> ${head.hash})`,
    })
    .from(head);
  if (!end) return fault(seq, "truncated", "was followed by a head row, which is gone");
  if (end.headSeq > end.last) return fault(end.last + 1, "truncated", "is gone: the head knows it");
  if (end.headSeq < end.last) return fault(end.headSeq + 1, "beyond-head", "stands after the newest event");
  if (!end.same) return fault(end.last, "other-history", "isn't the one that the head knows");
  return undefined;
}

function fault(seq: number, kind: Fault, what: string): Verification {
  return { ok: false, seq, fault: kind, message: `event ${seq} ${what}` };
}
