import { z } from "zod";
import { signedMessage } from "../base/sign.ts";
import { signedSuccession } from "./succession.ts";

/**
 * A bundle: the log, or a part of it, with all that proves it, for who has no Sluice. NDJSON, a line of these each; docs/audit.md
 * tells it for people.
 *
 *   bundle       first: whose keys, what was asked for, and the checkpoint (the anchor) that all of it is proven by
 *   witness      what a server has seen
 *   event        by seq. Runs of events that follow each other are proven by the last one
 *   checkpoint   after its event, or where that would stand
 *   end          last
 */
const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** of the Merkle tree, the leaf's neighbour first */
const path = z.array(hash);
/** may be missing: it was erased */
const salted = z.strictObject({ salt: z.string().regex(/^([0-9a-f]{2})*$/), value: z.string() }).optional();

export const bundleHeader = z.strictObject({
  format: z.literal("sluice-audit"),
  version: z.literal(1),
  at: z.string(),
  /** the first and the last event that it may have */
  from: z.int(),
  to: z.int(),
  /** which of them; absent: all */
  selection: z.record(z.string(), z.unknown()).optional(),
  /** events up to there are in archives: of them a selection only has those that stayed */
  archivedTo: z.int().optional(),
  keys: z.record(z.string(), z.string()),
  /** of control's keys, where it had another one before */
  successions: z.array(signedSuccession).optional(),
  checkpoint: signedMessage,
});
export type BundleHeader = z.infer<typeof bundleHeader>;

export const bundleEvent = z.strictObject({
  seq: z.int().min(1),
  prev: hash,
  hash,
  body: z.string(),
  actor: salted,
  reason: salted,
  /** that it stands in the anchor's tree */
  inclusion: path.optional(),
});
export type BundleEvent = z.infer<typeof bundleEvent>;

/** `consistency`: that the anchor's tree begins with this one's. */
const bundleCheckpoint = z.strictObject({ message: signedMessage, consistency: path });
const bundleWitness = z.strictObject({
  server: z.string(),
  publicKey: z.string(),
  message: signedMessage,
  consistency: path,
});

export const bundleLine = z.union([
  z.strictObject({ event: bundleEvent }),
  z.strictObject({ checkpoint: bundleCheckpoint }),
  z.strictObject({ bundle: bundleHeader }),
  z.strictObject({ witness: bundleWitness }),
  z.strictObject({ end: z.strictObject({ events: z.int() }) }),
]);
export type BundleLine = z.infer<typeof bundleLine>;
