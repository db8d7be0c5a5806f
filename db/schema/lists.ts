import type { Family } from "@sluice/proto/base/names";
import { boolean, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

export const listTable = pgTable("lists", {
  list: text().primaryKey(),
  families: jsonb().$type<Family[]>().notNull(),
  description: text().notNull(),
  rev: integer().notNull(),
  digest: text().notNull(),
  entries: integer().notNull(),
  /** of the list's stream: what is here is the stream's content up to it */
  version: integer().notNull(),
  retired: boolean().notNull(),
  ...decided(),
});

/** Sorted by code unit (collate "C"). Entries past their `until` stay until they are swept. */
export const listEntryTable = pgTable(
  "list_entries",
  { list: text().notNull(), entry: text().notNull(), until: isoTime() },
  (table) => [primaryKey({ columns: [table.list, table.entry] })],
);

export const listRevisionTable = pgTable(
  "list_revisions",
  {
    list: text().notNull(),
    rev: integer().notNull(),
    digest: text().notNull(),
    entries: integer().notNull(),
    at: isoTime().notNull(),
  },
  (table) => [primaryKey({ columns: [table.list, table.rev] })],
);

/** Which entries a list had, from one rev on and before another. */
export const listSpanTable = pgTable(
  "list_spans",
  {
    list: text().notNull(),
    entry: text().notNull(),
    sinceRev: integer("since_rev").notNull(),
    untilRev: integer("until_rev"),
    until: isoTime(),
  },
  (table) => [primaryKey({ columns: [table.list, table.entry, table.sinceRev] })],
);
