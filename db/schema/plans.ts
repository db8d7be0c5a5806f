import type { Difference } from "@sluice/proto/manifest/difference";
import type { Refusal } from "@sluice/proto/wire/report";
import { integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

export const planTable = pgTable("plans", {
  plan: text().primaryKey(),
  policy: text().notNull(),
  revision: integer(),
  servers: jsonb().$type<string[]>().notNull(),
  state: text().$type<"running" | "ok" | "refused">().notNull(),
  expiresAt: isoTime("expires_at").notNull(),
  ...decided(),
});

export const planAnswerTable = pgTable(
  "plan_answers",
  {
    plan: text().notNull(),
    server: text().notNull(),
    result: text().$type<"ok" | "refused" | "silent">().notNull(),
    manifest: text(),
    refusal: jsonb().$type<Refusal>(),
    differences: jsonb().$type<Difference[]>().notNull(),
    warnings: jsonb().$type<string[]>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.plan, table.server] })],
);
