import { bigint, boolean, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
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

/**
 * What people may ask to have erased, a row beside each event; its body holds only sha256(salt ‖ value) of it. A value
 * that was erased has no salt either.
 */
export const personal = pgTable("personal", {
  seq: bigint({ mode: "number" }).primaryKey(),
  actor: text(),
  actorSalt: bytea("actor_salt"),
  reason: text(),
  reasonSalt: bytea("reason_salt"),
});
