import { and, eq, gt, type SQL, sql } from "drizzle-orm";
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
type Columns = Omit<typeof events.$inferSelect, "seq" | "prevHash" | "hash" | "body" | "at"> & {
  atMs: number;
};

type Row = Pick<Evidence, "seq" | "prev" | "hash" | "body"> &
  Columns &
  Record<"actor" | "reason", string | null> &
  Record<"actorSalt" | "reasonSalt", Buffer | null>;

/** Events after that one, by seq. As Postgres gives them: mapping each column costs a third of what checking an event does. */
export async function readEvidence(
  db: Queryable,
  after: number,
  limit: number,
  condition?: SQL,
): Promise<EvidenceRow[]> {
  const rows = await db.execute<Row>(sql`
    select ${events.seq}, prev_hash as prev, hash, body, id, stream, stream_version as "streamVersion", type,
           schema_version as "schemaVersion", (extract(epoch from at) * 1000)::float8 as "atMs", correlation,
           policy, server, list, rollout, actor, actor_salt as "actorSalt", reason, reason_salt as "reasonSalt"
      from ${events}
      left join lateral ${personalBeside(db)} on true
     where ${and(gt(events.seq, after), condition)}
     order by ${events.seq}
     limit ${limit}`);
  return rows.map(({ seq, prev, hash, body, actor, actorSalt, reason, reasonSalt, ...columns }) => ({
    ...{ seq, prev, hash, body, columns },
    actor: salted(actor, actorSalt),
    reason: salted(reason, reasonSalt),
  }));
}

/** A value that has lost its salt, which no erasure leaves behind, fits no digest. */
function salted(value: string | null, salt: Buffer | null): Salted | undefined {
  if (value === null) return undefined;
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
