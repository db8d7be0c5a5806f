import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";

/** An event without its content, unless its type is one of those that were asked for. */
export type Outline = {
  seq: number;
  stream: string;
  type: string;
  schemaVersion: number;
  atMs: number;
  data: unknown;
};

const PAGE = 5_000;

/** Events from the first to `upTo`, page by page; of the types in `whole` with their data. */
export async function* readOutlines(
  db: Queryable,
  upTo: number,
  whole: readonly string[],
): AsyncGenerator<Outline> {
  for (let last = 0; ; ) {
    const rows = await db.execute<Outline>(sql`
      select seq, stream, type, schema_version as "schemaVersion",
             (extract(epoch from at) * 1000)::float8 as "atMs",
             case when type = any(${`{${whole.join(",")}}`}::text::text[]) then (body::json -> 'data')::text end as data
        from events
       where seq > ${last} and seq <= ${upTo}
       order by seq limit ${PAGE}`);
    for (const row of rows)
      yield { ...row, data: typeof row.data === "string" ? JSON.parse(row.data) : undefined };
    last = rows.at(-1)?.seq ?? last;
    if (rows.length < PAGE) return;
  }
}
