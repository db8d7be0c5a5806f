import { leafHash } from "@sluice/proto/base/merkle";
import { eq, sql } from "drizzle-orm";
import type { Database, Queryable } from "../connect.ts";
import { blockOf, refillBlocks } from "../history/blocks.ts";
import { archivedReportTable, archivedTable } from "../schema/proof.ts";
import { hashAt } from "./evidence.ts";
import { treeReader } from "./tree.ts";

/**
 * Events that are in archives and, but for some that stay, no longer rows.
 *
 * 1. An event of the log (LogArchived) says up to where, and which stay: the database takes the bound from it alone, and
 *    lets an event go only where it is below the bound and isn't one that stays (migrations/0160-archive.sql).
 * 2. The Merkle tree keeps every leaf: an event that is gone is still proven, and one that stayed is held against it.
 * 3. Dropping goes on from where it was, whatever dies, in batches of some thousand events. With a batch go what is
 *    personal of it, and its words from the history's index. Of what servers said the id stays, so that it isn't taken
 *    for news when it comes again.
 *
 * Rows up to the bound have gaps, those above it never. Who reads on over a gap must know what it does there.
 */
export interface Archived {
  /** of the newest LogArchived; 0 for none */
  eventSeq: number;
  upTo: number;
  /** events up to `upTo` that stay, ascending */
  kept: readonly number[];
  /** up to here the others are gone */
  droppedTo: number;
}

const BATCH = 8_192;

export async function readArchived(db: Queryable): Promise<Archived> {
  const { eventSeq, upTo, kept, droppedTo } = archivedTable;
  const [row] = await db.select({ eventSeq, upTo, kept, droppedTo }).from(archivedTable);
  return row ?? { eventSeq: 0, upTo: 0, kept: [], droppedTo: 0 };
}

/** Up to which event rows may be missing; 0 for none. */
export async function archivedUpTo(db: Queryable): Promise<number> {
  const [row] = await db.select({ upTo: archivedTable.upTo }).from(archivedTable);
  return row?.upTo ?? 0;
}

/** Refused by the database where it isn't what the event says. */
export async function recordArchived(
  db: Queryable,
  { eventSeq, upTo, kept }: Omit<Archived, "droppedTo">,
): Promise<void> {
  await db.execute(sql`
    insert into archived (event_seq, up_to, kept, dropped_to)
    values (${eventSeq}, ${upTo}, ${`{${kept.join(",")}}`}::text::bigint[], 0)
        on conflict (one) do update
       set event_seq = excluded.event_seq, up_to = excluded.up_to, kept = excluded.kept, dropped_to = 0
     where archived.event_seq < excluded.event_seq`);
}

/** Drops the next batch; false where nothing is left to drop, or another process is at it. */
export async function dropBatch(database: Pick<Database, "db">): Promise<boolean> {
  return await database.db.transaction(async (tx) => {
    const [row] = await tx.execute<{ first: number | null; last: number | null; dropped: number | null }>(
      sql`select first, last, dropped from drop_archived(${BATCH})`,
    );
    if (row === undefined || row.first === null || row.last === null) return false;
    const { first, last } = { first: blockOf(row.first), last: blockOf(row.last) };
    if (row.dropped !== 0)
      await refillBlocks(
        tx,
        Array.from({ length: last - first + 1 }, (_, n) => first + n),
      );
    return true;
  });
}

/** Whether the event with this id told what a server said, and is gone. */
export async function wasArchivedReport(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.select().from(archivedReportTable).where(eq(archivedReportTable.id, id));
  return rows.length > 0;
}

/** Whether this was the log's hash at that event: by its row, or by its leaf where it is archived. */
export async function wasHash(db: Queryable, seq: number, hash: string): Promise<boolean> {
  const here = await hashAt(db, seq);
  if (here !== undefined) return here.toString("hex") === hash;
  if (seq > (await archivedUpTo(db))) return false;
  const [leaf] = await leavesBetween(db, seq, seq);
  return leaf !== undefined && leafHash(Buffer.from(hash, "hex")).equals(leaf);
}

/** Their leaves in the stored tree. Throws where it doesn't have them. */
export async function leavesBetween(db: Queryable, from: number, to: number): Promise<Buffer[]> {
  const spanHash = treeReader(db);
  return await Promise.all(
    Array.from({ length: to - from + 1 }, (_, n) => spanHash({ from: from - 1 + n, to: from + n })),
  );
}
