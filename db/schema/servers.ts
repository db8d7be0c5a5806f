import type { Facts } from "@sluice/proto/manifest/facts";
import type { Pulse } from "@sluice/proto/wire/report";
import { bigint, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { isoTime } from "./columns.ts";

export const serverTable = pgTable("servers", {
  server: text().primaryKey(),
  labels: jsonb().$type<Record<string, string>>().notNull(),
  tokenHash: text("token_hash").notNull().unique(),
  publicKey: text("public_key"),
  addedAt: isoTime("added_at").notNull(),
  enrolledAt: isoTime("enrolled_at"),
  pausedUntil: isoTime("paused_until"),
  uninstalledAt: isoTime("uninstalled_at"),
});

/** Its labels from each change of them on. */
export const serverLabelTable = pgTable(
  "server_labels",
  {
    server: text().notNull(),
    seq: bigint({ mode: "number" }).notNull(),
    at: isoTime().notNull(),
    labels: jsonb().$type<Record<string, string>>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.server, table.seq] })],
);

export const factsTable = pgTable("facts", {
  digest: text().primaryKey(),
  facts: jsonb().$type<Facts>().notNull(),
});

export const serverFactsTable = pgTable("server_facts", {
  server: text().primaryKey(),
  digest: text()
    .notNull()
    .references(() => factsTable.digest),
  at: isoTime().notNull(),
});

export const serverPulseTable = pgTable("server_pulses", {
  server: text().primaryKey(),
  pulse: jsonb().$type<Pulse>().notNull(),
  at: isoTime().notNull(),
});
