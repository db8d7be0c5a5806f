import { bigint, boolean, pgTable, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

/** Those that were removed stay: their consumers must not come back. */
export const feedReaderTable = pgTable("feed_readers", {
  consumer: text().primaryKey(),
  reader: text().notNull(),
  fromSeq: bigint("from_seq", { mode: "number" }).notNull(),
  onlyType: text("only_type"),
  removed: boolean().notNull(),
  ...decided(),
});

/** How far each consumer was when the broker was asked last. */
export const feedPlaceTable = pgTable("feed_places", {
  consumer: text().primaryKey(),
  /** every event up to it was acknowledged */
  acked: bigint({ mode: "number" }).notNull(),
  /** events it has not acknowledged yet */
  waiting: bigint({ mode: "number" }).notNull(),
  at: isoTime().notNull(),
});
