import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events } from "../schema/events.ts";
import type { Salted } from "./event-body.ts";
import { actorOf, reasonOf } from "./stored-event.ts";

/** An event as evidence: what its hash covers, and what may be erased of it. */
export interface Evidence {
  seq: number;
  prev: Buffer;
  hash: Buffer;
  /** as it was hashed */
  body: string;
  /** undefined once they are erased */
  actor: Salted | undefined;
  reason: Salted | undefined;
}

export type EvidenceRow = Evidence & { columns: Columns };

/** What is taken from the body, for queries. */
type Columns = Omit<typeof events.$inferSelect, "seq" | "prevHash" | "hash" | "body">;

/** Events after that one, by seq. */
export async function readEvidence(
  db: Queryable,
  after: number,
  limit: number,
  condition?: SQL,
): Promise<EvidenceRow[]> {
  const rows = await db
    .select({
      events,
      actor: { salt: actorOf.salt, value: actorOf.value },
      reason: { salt: reasonOf.salt, value: reasonOf.value },
    })
    .from(events)
    .leftJoin(actorOf, sql`${actorOf.eventId} = ${events.id} and ${actorOf.field} = 'actor'`)
    .leftJoin(reasonOf, sql`${reasonOf.eventId} = ${events.id} and ${reasonOf.field} = 'reason'`)
    .where(and(gt(events.seq, after), condition))
    .orderBy(asc(events.seq))
    .limit(limit);
  return rows.map(({ events: { seq, prevHash, hash, body, ...columns }, actor, reason }) => ({
    ...{ seq, prev: prevHash, hash, body, columns },
    actor: salted(actor),
    reason: salted(reason),
  }));
}

function salted(kept: { salt: Buffer; value: string } | null): Salted | undefined {
  return kept === null ? undefined : { salt: kept.salt.toString("hex"), value: kept.value };
}

export async function hashAt(db: Queryable, seq: number): Promise<Buffer | undefined> {
  const [row] = await db.select({ hash: events.hash }).from(events).where(eq(events.seq, seq));
  return row?.hash;
}

export async function namesAt(
  db: Queryable,
  seq: number,
): Promise<{ type: string; stream: string } | undefined> {
  const { type, stream } = events;
  const [row] = await db.select({ type, stream }).from(events).where(eq(events.seq, seq));
  return row;
}
