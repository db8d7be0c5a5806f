import { eq, sql } from "drizzle-orm";
import type { Queryable, Tx } from "../connect.ts";
import { checkpoints } from "../schema/checkpoints.ts";

/** How far the reader of that name has come; 0 before its first event. */
export async function readCheckpoint(db: Queryable, name: string): Promise<number> {
  const [row] = await db
    .select({ position: checkpoints.position })
    .from(checkpoints)
    .where(eq(checkpoints.name, name));
  return row?.position ?? 0;
}

/** The same, held until the transaction ends: whoever else wants it waits. */
export async function lockCheckpoint(tx: Tx, name: string): Promise<number> {
  await tx.insert(checkpoints).values({ name }).onConflictDoNothing();
  const [row] = await tx
    .select({ position: checkpoints.position })
    .from(checkpoints)
    .where(eq(checkpoints.name, name))
    .for("update");
  if (!row) throw new Error(`the checkpoint ${name} vanished`);
  return row.position;
}

export async function moveCheckpoint(tx: Tx, name: string, position: number): Promise<void> {
  await tx.update(checkpoints).set({ position, movedAt: sql`now()` }).where(eq(checkpoints.name, name));
}
