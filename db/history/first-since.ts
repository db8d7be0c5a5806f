import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { EVENTS_PER_BLOCK, HISTORY } from "./blocks.ts";

/** The first event that is no older than this time (ISO); undefined for none. Clocks don't agree: later ones may be older. */
export async function firstSince(db: Queryable, time: string): Promise<number | undefined> {
  const [row] = await db.execute<{ seq: number | null }>(sql`
    select (select e.seq from events as e
             where e.at >= ${time}::text::timestamptz
               and e.seq > coalesce((select min(b.block) * ${EVENTS_PER_BLOCK}::bigint from history_blocks as b
                                      where b.last_at >= ${time}::text::timestamptz),
                                    (select c.position from checkpoints as c where c.name = ${HISTORY}), 0)
             order by e.seq limit 1) as seq`);
  return row?.seq ?? undefined;
}
