import { listEntryTable } from "@sluice/db/schema/lists";
import { lte } from "drizzle-orm";
import type { Context } from "../context/services.ts";
import { appendToBook } from "./append.ts";
import { decideChange, expiredEntries } from "./decide.ts";

/** Takes entries past their time out of every list. Agents have dropped them by themselves already. */
export async function expireEntries(ctx: Context): Promise<void> {
  const now = ctx.clock.now().toISOString();
  const rows = await ctx.database.db
    .selectDistinct({ list: listEntryTable.list })
    .from(listEntryTable)
    .where(lte(listEntryTable.until, now));
  for (const { list } of rows) {
    await appendToBook(ctx, list, "expired", (book) =>
      decideChange(book, { add: [], del: expiredEntries(book, now) }),
    );
  }
}
