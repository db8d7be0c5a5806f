import type { AuditAtView } from "@sluice/proto/api/audit";
import type { ListEntry } from "@sluice/proto/wire/list";
import { sql } from "drizzle-orm";
import type { Context } from "../context/services.ts";

export type ListAt = AuditAtView["lists"][number];

/** The newest rev of each list by then; of these lists where some are given. */
export async function listsAt(
  { database }: Pick<Context, "database">,
  time: string,
  only?: readonly string[],
): Promise<ListAt[]> {
  const names = JSON.stringify(only ?? []);
  const rows = await database.db.execute<Omit<ListAt, "content">>(sql`
    select l.list, r.rev, r.digest, r.entries
      from lists as l
     cross join lateral (
             select rev, digest, entries from list_revisions as x
              where x.list = l.list and x.at <= ${time}::text::timestamptz
              order by x.at desc, x.rev desc limit 1) as r
     where ${only === undefined} or l.list in (select json_array_elements_text(${names}::text::json))
     order by l.list`);
  return [...rows];
}

/** With more entries than these, a page is found sooner by walking through all that the list ever had, in their order. */
const FEW_ENTRIES = 10_000;

/** What a list held at a rev, by entry. */
export async function contentAt(
  { database }: Pick<Context, "database">,
  { list, rev, entries }: Pick<ListAt, "list" | "rev" | "entries">,
  { after = "", limit }: { after?: string | undefined; limit: number },
): Promise<ListEntry[]> {
  const walked = sql`
    select entry, until from list_spans
     where list = ${list} and since_rev <= ${rev} and (until_rev is null or until_rev > ${rev})`;
  // `materialized`: else the order that is asked for makes Postgres walk after all
  const stabbed = sql`
      with live as materialized (
           select list, entry, until from list_spans
            where int8range(list_point(list, since_rev), list_point(list, until_rev)) @> list_point(${list}, ${rev}))
    select entry, until from live where list = ${list}`;
  const rows = await database.db.execute<{ entry: string; until: string | null }>(sql`
    ${entries > FEW_ENTRIES ? walked : stabbed}
       and entry > ${after}
     order by entry limit ${limit}`);
  return rows.map(({ entry, until }) => ({
    entry,
    ...(until !== null && { until: new Date(until).toISOString() }),
  }));
}
