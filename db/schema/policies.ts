import { boolean, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { decided } from "./columns.ts";

export const policyTable = pgTable("policies", {
  policy: text().primaryKey(),
  revision: integer().notNull(),
  digest: text().notNull(),
  retired: boolean().notNull(),
  ...decided(),
});

export const policyRevisionTable = pgTable(
  "policy_revisions",
  {
    policy: text().notNull(),
    revision: integer().notNull(),
    digest: text().notNull(),
    text: text().notNull(),
    ...decided(),
  },
  (table) => [primaryKey({ columns: [table.policy, table.revision] })],
);
