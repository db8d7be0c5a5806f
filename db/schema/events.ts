import { bigint, boolean, integer, pgTable, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytea } from "./columns.ts";

/** The event log (migrations/0001-event-log.sql). Written by the function `append_batch` alone, never changed. */
export const events = pgTable("events", {
  seq: bigint({ mode: "number" }).primaryKey(),
  stream: text().notNull(),
  streamVersion: bigint("stream_version", { mode: "number" }).notNull(),
  id: uuid().notNull(),
  type: text().notNull(),
  schemaVersion: integer("schema_version").notNull(),
  body: text().notNull(),
  prevHash: bytea("prev_hash").notNull(),
  hash: bytea().notNull(),
  at: timestamp({ withTimezone: true }).notNull(),
  correlation: text().notNull(),
  policy: text(),
  server: text(),
  list: text(),
  rollout: text(),
});

/** The newest event's seq and hash: one row, whose lock puts the appends in line. */
export const head = pgTable("head", {
  one: boolean().primaryKey().default(true),
  seq: bigint({ mode: "number" }).notNull(),
  hash: bytea().notNull(),
});

/** What people may ask to have erased; the event's body holds only sha256(salt ‖ value) of it. */
export const personal = pgTable(
  "personal",
  {
    eventId: uuid("event_id").notNull(),
    field: text({ enum: ["actor", "reason"] }).notNull(),
    salt: bytea().notNull(),
    value: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.eventId, table.field] })],
);
