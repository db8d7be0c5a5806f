import type { Difference } from "@sluice/proto/manifest/difference";
import type { Culprit } from "@sluice/proto/wire/report";
import { bigint, boolean, doublePrecision, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { isoTime } from "./columns.ts";

export const driftTable = pgTable("drift", {
  seq: bigint({ mode: "number" }).primaryKey(),
  server: text().notNull(),
  at: isoTime().notNull(),
  generation: integer().notNull(),
  differences: jsonb().$type<Difference[]>().notNull(),
  culprit: jsonb().$type<Culprit>(),
  action: text().$type<"repaired" | "reported" | "failed">().notNull(),
  reason: text(),
  detectedMs: doublePrecision("detected_ms"),
  repairedMs: doublePrecision("repaired_ms"),
  current: boolean().notNull(),
});

/** How often an event's drift was reported in all; no row for once. */
export const driftRepeatTable = pgTable("drift_repeats", {
  seq: bigint({ mode: "number" }).primaryKey(),
  count: integer().notNull(),
});
