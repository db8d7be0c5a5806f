import { z } from "zod";
import { signedMessage } from "../base/sign.ts";
import { difference } from "../manifest/difference.ts";
import { facts } from "../manifest/facts.ts";
import { origin } from "../manifest/manifest.ts";
import { explanation, testResult } from "../manifest/test-result.ts";
import { present } from "./present.ts";

/** Who changed the kernel beside us, as far as the kernel tells. */
export const culprit = z.strictObject({
  pid: z.int().optional(),
  tool: z.string().optional(),
  user: z.string().optional(),
  command: z.string().optional(),
});
export type Culprit = z.infer<typeof culprit>;

/** What an apply did, by phase, in milliseconds, and how many write commits it sent. */
export const applyStats = z.strictObject({
  phasesMs: z.record(z.string(), z.number()),
  writes: z.int().min(0),
});
export type ApplyStats = z.infer<typeof applyStats>;

export const refusal = z.strictObject({
  /** which step said no */
  step: z.enum([
    "compile", // by control, before any server was asked
    "take",
    "rehearse",
    "test",
    "preflight",
    "journal",
    "apply",
    "verify",
    "probe",
    "confirm",
    "deadline",
  ]),
  /** in the kernel's or the tool's own words where there are any */
  reason: z.string(),
  origin: origin.optional(),
  /** the line of the script that was refused */
  script: z.string().optional(),
  /** the policy's tests that failed, where `step` is test */
  tests: z.array(testResult).optional(),
});
export type Refusal = z.infer<typeof refusal>;

/** Something foreign that a change took over, and the text that is kept of it. Long ones are cut: the server has all. */
export const takenOver = z.strictObject({ what: z.string(), text: z.string() });
export type TakenOver = z.infer<typeof takenOver>;

/**
 * - `confirmed`: holds the new manifest, proven reachable (also when nothing had to be written: `stats.writes` is 0)
 * - `refused`: the kernel was not touched
 * - `reverted`: was applied, and is undone: holds the manifest before
 */
export const outcomeResult = z.enum(["confirmed", "refused", "reverted"]);
export type OutcomeResult = z.infer<typeof outcomeResult>;

/** When, by the server's clock, and who stood there. */
export const uninstalled = z.strictObject({ at: z.iso.datetime(), by: z.string().optional() });
export type Uninstalled = z.infer<typeof uninstalled>;

export const reportBody = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("facts"), facts }),
  z.strictObject({
    kind: z.literal("outcome"),
    epoch: z.int(),
    generation: z.int(),
    digest: z.string(),
    rollout: z.string().optional(),
    result: outcomeResult,
    refusal: refusal.optional(),
    stats: applyStats.optional(),
    taken: z.array(takenOver).optional(),
  }),
  z.strictObject({
    kind: z.literal("plan"),
    plan: z.string(),
    digest: z.string(),
    result: z.enum(["ok", "refused"]),
    refusal: refusal.optional(),
    differences: z.array(difference),
    /** traffic that the resulting order of each hook passes by, and other things worth a look */
    warnings: z.array(z.string()),
  }),
  z.strictObject({
    kind: z.literal("drift"),
    generation: z.int(),
    differences: z.array(difference),
    by: culprit.optional(),
    action: z.enum(["repaired", "reported", "failed"]),
    reason: z.string().optional(),
    detectedMs: z.number().optional(),
    repairedMs: z.number().optional(),
  }),
  z.strictObject({
    kind: z.literal("skipped"),
    list: z.string(),
    rev: z.int(),
    entries: z.array(z.string()),
  }),
  z.strictObject({ kind: z.literal("paused"), until: z.string(), reason: z.string(), by: z.string() }),
  z.strictObject({ kind: z.literal("resumed") }),
  /** the last word of an agent: nothing of ours is left in this server's kernel */
  z.strictObject({ kind: z.literal("uninstalled"), ...uninstalled.shape }),
  /** an envelope or a delta that was not obeyed: wrong signature, lower generation, wrong digest */
  z.strictObject({ kind: z.literal("rejected"), what: z.string(), reason: z.string() }),
]);
export type ReportBody = z.infer<typeof reportBody>;

/** Signed (domain `report`) by the agent's own key. `id` makes it idempotent, `at` is the agent's clock. */
export const report = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  id: z.string(),
  at: z.string(),
  body: reportBody,
});
export type Report = z.infer<typeof report>;

export const agentState = z.enum(["idle", "applying", "paused", "drifted", "contended"]);
export type AgentState = z.infer<typeof agentState>;

/** How many entries a list's fuller set has on a server, and has room for; it is grown at three quarters. */
export const listFill = z.strictObject({ entries: z.int().min(0), room: z.int().min(1) });
export type ListFill = z.infer<typeof listFill>;

/** An agent's plain heartbeat. */
export const pulse = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  at: z.string(),
  state: agentState,
  epoch: z.int(),
  generation: z.int(),
  digest: z.string(),
  lists: z.record(z.string(), z.int()),
  /** by list, as far as it is known */
  fill: z.record(z.string(), listFill).optional(),
  differences: z.int().min(0),
  /** the newest checkpoint of control's log that it has seen (proto/wire/checkpoint.ts); in some pulses only */
  witness: signedMessage.optional(),
});
export type Pulse = z.infer<typeof pulse>;

/** Control's signed pulse (domain `pulse`): a broker that withholds a list's deltas is seen. */
export const controlPulse = z.strictObject({
  v: z.literal(1),
  at: z.string(),
  epoch: z.int(),
  lists: z.record(z.string(), z.int()),
  checkpoint: z.strictObject({ seq: z.int(), hash: z.string() }),
});
export type ControlPulse = z.infer<typeof controlPulse>;

export const askReply = z.discriminatedUnion("ok", [
  z.strictObject({
    ok: z.literal(true),
    status: pulse,
    differences: z.array(difference),
    repaired: z.boolean(),
    /** the answer to `explain` */
    explanation: explanation.optional(),
    /** the answer to `present` */
    present: present.optional(),
  }),
  z.strictObject({ ok: z.literal(false), reason: z.string() }),
]);
export type AskReply = z.infer<typeof askReply>;
