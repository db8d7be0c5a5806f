import { bigint, pgTable, text, timestamp } from "drizzle-orm/pg-core";

/** How far each reader of the log has come (migrations/0002-checkpoints.sql). */
export const checkpoints = pgTable("checkpoints", {
  name: text().primaryKey(),
  position: bigint({ mode: "number" }).notNull().default(0),
  movedAt: timestamp("moved_at", { withTimezone: true }).notNull().defaultNow(),
});
