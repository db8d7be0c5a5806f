import { createHash } from "node:crypto";
import { z } from "zod";

/**
 * What control signs of a range of the log that is in a file. Which events the service goes on to need, of all up to `to`,
 * is signed with it: that a row isn't there any more is right for the others only.
 */
export const archive = z.strictObject({
  /** the first and the last event in the file */
  from: z.int().min(1),
  to: z.int().min(1),
  /** the newest time among them */
  until: z.string(),
  /** of the chain at the last one, 64 hex digits */
  hash: z.string(),
  /** of the Merkle tree over all events up to it */
  root: z.string(),
  /** sha256 of the file, hex */
  file: z.string(),
  bytes: z.int(),
  /** how many of all events up to `to` stay, and which: see `keptDigest` */
  kept: z.int(),
  keptDigest: z.string(),
});
export type Archive = z.infer<typeof archive>;

/** sha256 over their seqs, ascending, with commas between; hex. */
export function keptDigest(seqs: readonly number[]): string {
  return createHash("sha256").update(seqs.join(",")).digest("hex");
}
