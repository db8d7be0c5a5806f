import { listEntryTable } from "@sluice/db/schema/lists";
import type { ListView, showListInput } from "@sluice/proto/api/lists";
import { and, asc, eq, gt, isNull, or } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { listRow } from "./ls.ts";

/** A page of a list's entries; those past their time don't count any more. */
export async function showList(
  ctx: Context,
  { list, after, limit }: z.output<typeof showListInput>,
): Promise<ListView> {
  const { entries: total, ...row } = await listRow(ctx, list);
  const now = ctx.clock.now().toISOString();
  const found = await ctx.database.db
    .select({ entry: listEntryTable.entry, until: listEntryTable.until })
    .from(listEntryTable)
    .where(
      and(
        eq(listEntryTable.list, list),
        or(isNull(listEntryTable.until), gt(listEntryTable.until, now)),
        after === undefined ? undefined : gt(listEntryTable.entry, after),
      ),
    )
    .orderBy(asc(listEntryTable.entry))
    .limit(limit + 1);
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    ...row,
    ...fullestOf(ctx, list),
    total,
    entries: page.map(({ entry, until }) => ({ entry, ...(until !== null && { until }) })),
    ...(found.length > limit && last && { next: last.entry }),
  };
}

function fullestOf(ctx: Context, list: string): Pick<ListView, "fullest"> {
  let fullest: ListView["fullest"];
  for (const { pulse } of ctx.pulses.all()) {
    const fill = pulse.fill?.[list];
    if (fill === undefined) continue;
    if (fullest === undefined || fill.entries / fill.room > fullest.entries / fullest.room)
      fullest = { server: pulse.server, ...fill };
  }
  return fullest === undefined ? {} : { fullest };
}
