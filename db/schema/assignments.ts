import type { EventData } from "@sluice/proto/events/event";
import type { ApplyStats, OutcomeResult, Refusal } from "@sluice/proto/wire/report";
import { integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { decided, isoTime } from "./columns.ts";

type Decided = EventData<"AssignmentDecided">;

export const assignmentTable = pgTable(
  "assignments",
  {
    server: text().notNull(),
    generation: integer().notNull(),
    epoch: integer().notNull(),
    assigned: jsonb().$type<Decided["assigned"]>().notNull(),
    manifest: text().notNull(),
    cause: text().$type<Decided["cause"]>().notNull(),
    rollout: text(),
    ...decided(),
    provenUntil: isoTime("proven_until"),
    outcome: text().$type<OutcomeResult>(),
    outcomeAt: isoTime("outcome_at"),
    refusal: jsonb().$type<Refusal>(),
    stats: jsonb().$type<ApplyStats>(),
  },
  (table) => [primaryKey({ columns: [table.server, table.generation] })],
);

/** Which servers were ever to hold a policy. */
export const policyServerTable = pgTable(
  "policy_servers",
  { policy: text().notNull(), server: text().notNull() },
  (table) => [primaryKey({ columns: [table.policy, table.server] })],
);

/** Manifests by digest, as canonical JSON text. */
export const manifestTable = pgTable("manifests", { digest: text().primaryKey(), text: text().notNull() });
