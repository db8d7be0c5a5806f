import { and, eq, inArray, sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { personal } from "../schema/events.ts";

/**
 * Erases a person from the log: their name as actor, and the reasons they gave. The events and their chain stay
 * whole; who it was can't be found out from the digests without the salts, which go too. Returns how many events
 * are concerned.
 *
 * Projections may have copied the name: rebuild them afterwards, they then find null.
 * What people write into an event's data or a policy's text is not reached by this.
 */
export async function eraseActor(db: Queryable, actor: string): Promise<number> {
  const theirs = db
    .select({ eventId: personal.eventId })
    .from(personal)
    .where(and(eq(personal.field, "actor"), eq(personal.value, actor)));
  // one statement: its sub-select sees the rows as they stood before it
  const erased = await db
    .delete(personal)
    .where(inArray(personal.eventId, theirs))
    .returning({ field: sql<string>`${personal.field}` });
  return erased.filter(({ field }) => field === "actor").length;
}
