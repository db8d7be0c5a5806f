import { bigint, boolean, integer, pgTable, primaryKey, smallint, text, uuid } from "drizzle-orm/pg-core";
import { bytea, isoTime } from "./columns.ts";

/** The Merkle tree over the events' hashes, in tiles (db/log/tree.ts). */
export const tileTable = pgTable(
  "merkle_tiles",
  {
    level: smallint().notNull(),
    tile: bigint({ mode: "number" }).notNull(),
    hashes: bytea().notNull(),
  },
  (table) => [primaryKey({ columns: [table.level, table.tile] })],
);

function signed() {
  return {
    epoch: integer().notNull(),
    seq: bigint({ mode: "number" }).notNull(),
    kid: text().notNull(),
    body: text().notNull(),
    sig: text().notNull(),
  };
}

/** What control signed of the log. Never changed. */
export const signedCheckpointTable = pgTable("signed_checkpoints", signed(), (table) => [
  primaryKey({ columns: [table.epoch, table.seq] }),
]);

/** The newest checkpoint that each server has seen, in its own signed words. */
export const witnessTable = pgTable("witnesses", {
  server: text().primaryKey(),
  ...signed(),
  at: isoTime().notNull(),
});

/** What of the log lies in archives (db/log/archived.ts). */
export const archivedTable = pgTable("archived", {
  one: boolean().primaryKey().default(true),
  eventSeq: bigint("event_seq", { mode: "number" }).notNull(),
  upTo: bigint("up_to", { mode: "number" }).notNull(),
  kept: bigint({ mode: "number" }).array().notNull(),
  droppedTo: bigint("dropped_to", { mode: "number" }).notNull(),
});

/** Ids of archived events that servers' reports made, and that are gone. */
export const archivedReportTable = pgTable("archived_reports", { id: uuid().primaryKey() });
