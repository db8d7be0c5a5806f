import { eq } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { events, personal } from "../schema/events.ts";

/**
 * The row of personal data beside an event, for `leftJoinLateral`. The limit keeps Postgres at a lookup for each event: a
 * plain join it may make by merging, for which it reads all of this table that comes before the first event asked for.
 */
export function personalBeside(db: Queryable) {
  return db.select().from(personal).where(eq(personal.seq, events.seq)).limit(1).as("personal");
}
