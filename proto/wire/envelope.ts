import { z } from "zod";
import { manifestTest } from "../manifest/manifest.ts";

/** A blob in the `blobs` bucket: its digest, its size in bytes, the number of its chunks. */
export const blobRef = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(0),
  chunks: z.int().min(1),
});
export type BlobRef = z.infer<typeof blobRef>;

/**
 * What one server is to hold now; signed (domain `desired`) in the `desired` bucket under the server's name.
 * The newest (epoch, generation) wins; an agent never goes back to an older one.
 */
export const desiredEnvelope = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  epoch: z.int().min(1),
  generation: z.int().min(1),
  manifest: blobRef,
  /** what the outcome is reported for; absent outside of a rollout */
  rollout: z.string().optional(),
  /** a person confirms it, within this time from when control would */
  byHandMs: z.int().min(1).optional(),
});
export type DesiredEnvelope = z.infer<typeof desiredEnvelope>;

/** Asks one server to rehearse a manifest; signed (domain `plan`) in the `plans` bucket under `<server>.<plan>`. */
export const planEnvelope = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  plan: z.string(),
  manifest: blobRef,
  /** ISO time after which nobody waits for the answer */
  expiresAt: z.string(),
});
export type PlanEnvelope = z.infer<typeof planEnvelope>;

export const wake = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("desired") }),
  z.strictObject({ what: z.literal("plan"), plan: z.string() }),
]);
export type Wake = z.infer<typeof wake>;

const askedPacket = manifestTest.omit({ expect: true, origin: true });

/** One interactive question to one agent; the reply is `askReply`. */
export const ask = z.discriminatedUnion("what", [
  z.strictObject({ what: z.literal("status") }),
  /** look for drift now and answer with it; `repair` also mends it */
  z.strictObject({ what: z.literal("drift"), repair: z.boolean() }),
  /** count what rules matched now, and tell it before answering */
  z.strictObject({ what: z.literal("hits") }),
  /** what becomes of a packet there, and by which rule */
  z.strictObject({ what: z.literal("explain"), packet: askedPacket }),
  /** what stands there and isn't ours */
  z.strictObject({ what: z.literal("present") }),
]);
export type Ask = z.infer<typeof ask>;

/** Asked over a connection made after the change. Control tries `reach` from outside before it says yes. */
export const confirmRequest = z.strictObject({
  epoch: z.int(),
  generation: z.int(),
  digest: z.string(),
  /** `preflight` only proves that the path to control works, before the first write */
  phase: z.enum(["preflight", "confirm"]),
  /** addresses and ports that control is to dial */
  reach: z.array(z.strictObject({ address: z.string(), port: z.int() })),
});
export type ConfirmRequest = z.infer<typeof confirmRequest>;

export const confirmReply = z.discriminatedUnion("ok", [
  z.strictObject({ ok: z.literal(true) }),
  /** `waits`: not yet; a person has the say */
  z.strictObject({ ok: z.literal(false), reason: z.string(), waits: z.boolean().optional() }),
]);
export type ConfirmReply = z.infer<typeof confirmReply>;
