import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { EVENTS_PER_BLOCK, HISTORY } from "./blocks.ts";

/** The last event that is no newer than this time (ISO); 0 for none. Clocks don't agree: those before it may be newer. */
export async function lastUntil(db: Queryable, time: string): Promise<number> {
  const then = sql`${time}::text::timestamptz`;
  const [row] = await db.execute<{ seq: number }>(sql`
    select coalesce(
      (select e.seq from events as e
        where e.at <= ${then} and e.seq > coalesce((select c.position from checkpoints as c where c.name = ${HISTORY}), 0)
        order by e.seq desc limit 1),
      (select e.seq from events as e
        where e.at <= ${then}
          and e.seq <= (select (max(b.block) + 1) * ${EVENTS_PER_BLOCK}::bigint from history_blocks as b where b.first_at <= ${then})
        order by e.seq desc limit 1),
      0) as seq`);
  return row?.seq ?? 0;
}
