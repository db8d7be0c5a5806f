import { boolean, pgTable, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

/** One row, from the first freeze on. */
export const fleetTable = pgTable("fleet", {
  one: boolean().primaryKey().default(true),
  frozen: boolean().notNull(),
  ...decided(),
});

export const tokenTable = pgTable("tokens", {
  name: text().primaryKey(),
  hash: text().notNull().unique(),
  role: text().$type<"viewer" | "operator" | "admin">().notNull(),
  createdAt: isoTime("created_at").notNull(),
});
