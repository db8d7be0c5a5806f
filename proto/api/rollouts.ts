import { z } from "zod";
import { applyStats, refusal } from "../wire/report.ts";
import { decidedView, entityName, pageLimit, reason } from "./common.ts";

const DAY_MS = 86_400_000;

/** Servers by name, wave by wave; or sizes, each the share of all servers reached by then: [1, "25%", "100%"]. */
export const wavesInput = z.union([
  z.array(z.array(entityName).min(1)).min(1),
  z.array(z.union([z.int().min(1), z.string().regex(/^(100|[1-9]?[0-9])%$/, "a share such as 25%")])).min(1),
]);
export type WavesInput = z.infer<typeof wavesInput>;

export const startRolloutInput = z.strictObject({
  policy: entityName,
  /** the newest unless said */
  revision: z.int().min(1).optional(),
  /** take the policy off the servers instead */
  remove: z.boolean().default(false),
  /** all servers in one wave unless said */
  waves: wavesInput.optional(),
  /** only these of the targeted servers */
  servers: z.array(entityName).min(1).optional(),
  /** refused unless this plan was ok for the same content and the same servers */
  plan: z.string().optional(),
  /** people confirm, within this time from when control would; after it servers undo by themselves */
  byHandMs: z.int().min(10_000).max(DAY_MS).optional(),
  reason,
});

/** Of a policy whose newest revision is imported: enforced from here on. */
export const adoptInput = startRolloutInput.pick({
  policy: true,
  servers: true,
  byHandMs: true,
  reason: true,
});

export const confirmRolloutInput = z.strictObject({
  rollout: z.string().min(1),
  /** all that wait unless said */
  servers: z.array(entityName).min(1).optional(),
  reason,
});

export const rollbackInput = z.strictObject({
  policy: entityName,
  to: z.union([z.literal("previous"), z.int().min(1)]).default("previous"),
  reason,
});

export const rolloutState = z.enum(["running", "completed", "halted"]);
export type RolloutState = z.infer<typeof rolloutState>;

/**
 * `waiting`: its wave hasn't begun; `converging`: told, no outcome yet; `proven`: applied and reached, waits for a
 * person; `unreached`: the rollout ended before it.
 */
export const rolloutServerState = z.enum([
  "waiting",
  "converging",
  "proven",
  "confirmed",
  "refused",
  "reverted",
  "silent",
  "unreached",
]);
export type RolloutServerState = z.infer<typeof rolloutServerState>;

export const rolloutServerView = z.strictObject({
  server: z.string(),
  wave: z.int(),
  state: rolloutServerState,
  /** the revision it held before, 0 for none */
  before: z.int(),
  generation: z.int().optional(),
  /** of a proven one: then it undoes */
  until: z.string().optional(),
  refusal: refusal.optional(),
  stats: applyStats.optional(),
  /** of its last change of state */
  at: z.string().optional(),
});
export type RolloutServerView = z.infer<typeof rolloutServerView>;

export const rolloutRowView = z.strictObject({
  rollout: z.string(),
  kind: z.enum(["rollout", "rollback"]),
  policy: z.string(),
  /** 0 where the policy is taken off */
  revision: z.int(),
  state: rolloutState,
  /** why it halted; empty otherwise */
  haltedBecause: z.string(),
  /** the wave it is in or ended in, counted from 1 */
  wave: z.int(),
  waves: z.int(),
  servers: z.int(),
  confirmed: z.int(),
  failed: z.int(),
  started: decidedView,
  /** people confirm it, within this time */
  byHandMs: z.int().optional(),
  endedAt: z.string().optional(),
});
export type RolloutRowView = z.infer<typeof rolloutRowView>;

export const rolloutView = rolloutRowView.omit({ servers: true }).extend({
  servers: z.array(rolloutServerView),
  /** the server that halted it */
  haltedBy: z.string().optional(),
  /** targeted by the policy, and in no wave */
  inNoWave: z.array(z.string()),
});
export type RolloutView = z.infer<typeof rolloutView>;

export const listRolloutsInput = z
  .strictObject({ policy: entityName.optional(), state: rolloutState.optional(), limit: pageLimit })
  .prefault({});

/** show and watch. A watch gives the whole view at every change, and ends with the rollout. */
export const showRolloutInput = z.strictObject({ rollout: z.string().min(1) });
