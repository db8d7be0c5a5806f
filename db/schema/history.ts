import { integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytea, isoTime } from "./columns.ts";

/** Which events of a block a term stands in (db/history/terms.ts). */
export const historyTermTable = pgTable(
  "history_terms",
  { term: text().notNull(), block: integer().notNull(), places: bytea().notNull() },
  (table) => [primaryKey({ columns: [table.term, table.block] })],
);

export const historyBlockTable = pgTable("history_blocks", {
  block: integer().primaryKey(),
  firstAt: isoTime("first_at").notNull(),
  lastAt: isoTime("last_at").notNull(),
});
