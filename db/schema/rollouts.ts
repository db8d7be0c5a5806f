import { integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

export const rolloutTable = pgTable("rollouts", {
  rollout: text().primaryKey(),
  kind: text().$type<"rollout" | "rollback">().notNull(),
  policy: text().notNull(),
  revision: integer().notNull(),
  waves: jsonb().$type<string[][]>().notNull(),
  before: jsonb().$type<Record<string, number>>().notNull(),
  state: text().$type<"running" | "completed" | "halted">().notNull(),
  wave: integer().notNull(),
  haltedBecause: text("halted_because").notNull(),
  haltedBy: text("halted_by"),
  byHandMs: integer("by_hand_ms"),
  ...decided(),
  endedAt: isoTime("ended_at"),
});
