import type { SignedMessage } from "@sluice/proto/base/sign";
import { and, asc, desc, eq, gt, or, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { signedCheckpointTable } from "../schema/proof.ts";

/** A signed checkpoint as it is kept; what it says is in its body. */
export interface KeptCheckpoint {
  epoch: number;
  seq: number;
  message: SignedMessage;
}

/** Keeps it, unless there is one of the same place already; returns the one that is kept. */
export async function keepCheckpoint(
  db: Queryable,
  { epoch, seq, message }: KeptCheckpoint,
): Promise<KeptCheckpoint> {
  await db
    .insert(signedCheckpointTable)
    .values({ epoch, seq, ...message })
    .onConflictDoNothing();
  const [row] = await db
    .select()
    .from(signedCheckpointTable)
    .where(and(eq(signedCheckpointTable.epoch, epoch), eq(signedCheckpointTable.seq, seq)));
  if (row === undefined) throw new Error(`the checkpoint of event ${seq} vanished`);
  return kept(row);
}

export async function newestCheckpoint(db: Queryable): Promise<KeptCheckpoint | undefined> {
  const { epoch, seq } = signedCheckpointTable;
  const [row] = await db.select().from(signedCheckpointTable).orderBy(desc(epoch), desc(seq)).limit(1);
  return row && kept(row);
}

/** Those made after that one, in the order in which they were made. */
export async function checkpointsAfter(
  db: Queryable,
  last: { epoch: number; seq: number },
  limit: number,
): Promise<KeptCheckpoint[]> {
  const { epoch, seq } = signedCheckpointTable;
  const rows = await db
    .select()
    .from(signedCheckpointTable)
    .where(or(gt(epoch, last.epoch), and(eq(epoch, last.epoch), gt(seq, last.seq))))
    .orderBy(asc(epoch), asc(seq))
    .limit(limit);
  return rows.map(kept);
}

/** Those of events `from` to `to` (both included), by event. */
export async function checkpointsBetween(db: Queryable, from: number, to: number): Promise<KeptCheckpoint[]> {
  const { epoch, seq } = signedCheckpointTable;
  const rows = await db
    .select()
    .from(signedCheckpointTable)
    .where(sql`${seq} between ${from} and ${to}`)
    .orderBy(asc(seq), asc(epoch));
  return rows.map(kept);
}

function kept({ epoch, seq, kid, body, sig }: typeof signedCheckpointTable.$inferSelect): KeptCheckpoint {
  return { epoch, seq, message: { kid, body, sig } };
}
