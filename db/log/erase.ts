import { count, eq } from "drizzle-orm";
import type { Database } from "../connect.ts";
import { blockOf, refillBlocks } from "../history/blocks.ts";
import { eraseFromTables } from "../projections/erase.ts";
import { personal } from "../schema/events.ts";

/**
 * Erases a person from the log and from the tables made of it: their name as actor, and the reasons they gave. The events
 * and their chain stay whole; who it was can't be found out from the digests without the salts, which go too. The history
 * isn't found by their words any more. Returns how many events are concerned.
 *
 * What people write into an event's data or a policy's text is not reached by this, nor are archives.
 */
export async function eraseActor({ db }: Pick<Database, "db">, actor: string): Promise<number> {
  return await db.transaction(async (tx) => {
    await eraseFromTables(tx, actor);
    const theirs = await tx
      .delete(personal)
      .where(eq(personal.actor, actor))
      .returning({ seq: personal.seq });
    await refillBlocks(
      tx,
      theirs.map(({ seq }) => blockOf(seq)),
    );
    return theirs.length;
  });
}

/** How many events have a person's name. */
export async function countEvents({ db }: Pick<Database, "db">, actor: string): Promise<number> {
  const [row] = await db.select({ events: count() }).from(personal).where(eq(personal.actor, actor));
  return row?.events ?? 0;
}
