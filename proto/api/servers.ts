import { z } from "zod";
import { difference } from "../manifest/difference.ts";
import { facts } from "../manifest/facts.ts";
import { agentState, listFill } from "../wire/report.ts";
import { assignedView, entityName, isoTime, labels, reason } from "./common.ts";
import { assignmentView } from "./policies.ts";

export const addServerInput = z.strictObject({
  server: entityName,
  labels: labels.default({}),
  /** a new token for a server that is there already; the agent enrolled before is no longer heard */
  again: z.boolean().default(false),
  reason,
});

/** `token` is shown this once: control keeps only its hash. It enrols one agent, once. */
export const addServerView = z.strictObject({ server: z.string(), token: z.string() });
export type AddServerView = z.infer<typeof addServerView>;

export const labelServerInput = z.strictObject({
  server: entityName,
  set: labels.default({}),
  unset: z.array(z.string()).default([]),
  reason,
});

/**
 * - `added`: not enrolled yet
 * - `empty`: enrolled, holds nothing of ours
 * - `converging`: a generation is decided, and not confirmed yet
 * - `converged`: holds what it is assigned
 * - `failed`: refused or undid the newest generation
 * - `drifted`: its kernel differs, and isn't mended
 * - `paused`: somebody paused the agent on the server itself
 * - `uninstalled`: somebody took Sluice out of it on the server itself; it holds nothing until it is enrolled anew
 */
export const serverState = z.enum([
  "added",
  "empty",
  "converging",
  "converged",
  "failed",
  "drifted",
  "paused",
  "uninstalled",
]);
export type ServerState = z.infer<typeof serverState>;

export const listServersInput = z.strictObject({ labels: labels.default({}) }).prefault({});

export const serverRowView = z.strictObject({
  server: z.string(),
  labels,
  state: serverState,
  /** a pulse came within the last 30 s */
  connected: z.boolean(),
  lastSeenAt: isoTime.optional(),
  /** what its agent said in its last pulse */
  agent: agentState.optional(),
  assigned: z.array(assignedView),
  epoch: z.int(),
  /** decided last; 0 before the first */
  generation: z.int(),
  /** confirmed last; 0 before the first */
  confirmedGeneration: z.int(),
  differences: z.int(),
  pausedUntil: isoTime.optional(),
  uninstalledAt: isoTime.optional(),
});
export type ServerRowView = z.infer<typeof serverRowView>;

export const showServerInput = z.strictObject({ server: entityName });

export const serverView = serverRowView.extend({
  addedAt: z.string(),
  enrolledAt: z.string().optional(),
  facts: facts.optional(),
  factsAt: z.string().optional(),
  assignment: assignmentView.optional(),
  /** current differences of its kernel */
  drift: z.array(difference),
  /** revision of each live list that its agent holds, from its last pulse */
  lists: z.record(z.string(), z.int()),
  /** how full the fuller set of each is, as far as the agent knows */
  fill: z.record(z.string(), listFill).optional(),
  /** the newest checkpoint of the audit log that it has seen; `holds`: the log has that event still */
  witness: z.strictObject({ epoch: z.int(), seq: z.int(), at: z.string(), holds: z.boolean() }).optional(),
  /** why it failed last, while `state` is failed */
  failure: z.strictObject({ step: z.string(), reason: z.string() }).optional(),
});
export type ServerView = z.infer<typeof serverView>;

export const labelServerView = z.strictObject({
  server: z.string(),
  labels,
  /** the generation that the change led to, absent where what the server holds stays the same */
  generation: z.int().optional(),
  /** the generation under way, after which what the server holds is made anew with these labels */
  waitsFor: z.int().optional(),
  /** why what it holds couldn't be made anew with these labels; it keeps what it holds */
  problem: z.string().optional(),
});
export type LabelServerView = z.infer<typeof labelServerView>;
