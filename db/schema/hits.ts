import { bigint, boolean, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { isoTime } from "./columns.ts";

export const ruleHitTable = pgTable(
  "rule_hits",
  {
    policy: text().notNull(),
    revision: integer().notNull(),
    server: text().notNull(),
    path: text().notNull(),
    observed: boolean().notNull(),
    packets: bigint({ mode: "number" }).notNull(),
    bytes: bigint({ mode: "number" }).notNull(),
    since: isoTime().notNull(),
    at: isoTime().notNull(),
    counter: text().notNull(),
    toldPackets: bigint("told_packets", { mode: "number" }).notNull(),
    toldBytes: bigint("told_bytes", { mode: "number" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.policy, table.revision, table.server, table.path, table.observed] }),
  ],
);
