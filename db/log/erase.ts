import { eq } from "drizzle-orm";
import type { Database } from "../connect.ts";
import { blockOf, refillBlocks } from "../history/blocks.ts";
import { personal } from "../schema/events.ts";

/**
 * Erases a person from the log: their name as actor, and the reasons they gave. The events and their chain stay
 * whole; who it was can't be found out from the digests without the salts, which go too. The history isn't found by
 * their words any more. Returns how many events are concerned.
 *
 * Projections may have copied the name: rebuild them afterwards, they then find null.
 * What people write into an event's data or a policy's text is not reached by this.
 */
export async function eraseActor({ db }: Pick<Database, "db">, actor: string): Promise<number> {
  return await db.transaction(async (tx) => {
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
