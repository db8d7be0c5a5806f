import { and, asc, eq, gt, type SQL, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events } from "../schema/events.ts";
import type { Salted } from "./event-body.ts";
import { personalBeside } from "./personal-beside.ts";

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
  const beside = personalBeside(db);
  const { actor, actorSalt, reason, reasonSalt } = beside;
  const rows = await db
    .select({ events, personal: { actor, actorSalt, reason, reasonSalt } })
    .from(events)
    .leftJoinLateral(beside, sql`true`)
    .where(and(gt(events.seq, after), condition))
    .orderBy(asc(events.seq))
    .limit(limit);
  return rows.map(({ events: { seq, prevHash, hash, body, ...columns }, personal: its }) => ({
    ...{ seq, prev: prevHash, hash, body, columns },
    actor: salted(its?.actor, its?.actorSalt),
    reason: salted(its?.reason, its?.reasonSalt),
  }));
}

/** A value that has lost its salt, which no erasure leaves behind, fits no digest. */
function salted(value: string | null | undefined, salt: Buffer | null | undefined): Salted | undefined {
  if (value === null || value === undefined) return undefined;
  return { salt: salt?.toString("hex") ?? "", value };
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
