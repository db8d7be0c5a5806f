import { z } from "zod";
import { signedMessage } from "../base/sign.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * What control says of its whole log at one moment; signed (domain `checkpoint`) with the key that agents pin, kept beside the
 * log and in the CHECKPOINTS stream, and told to agents. `seq` and `hash` are the newest event's: they stand for the chain up
 * to it. `size` and `root` are those of the Merkle tree over the same events.
 */
export const checkpoint = z
  .strictObject({
    v: z.literal(1),
    epoch: z.int().min(1),
    seq: z.int().min(1),
    hash,
    size: z.int().min(1),
    root: hash,
    /** control's clock (ISO) */
    at: z.string(),
  })
  .refine(({ seq, size }) => seq === size, "a tree of another size than the log");
export type Checkpoint = z.infer<typeof checkpoint>;

/**
 * The newest checkpoint that a server has seen, as control signed it, so that no server can make one up; signed (domain
 * `witness`) with the server's report key.
 */
export const witness = z.strictObject({
  v: z.literal(1),
  server: z.string(),
  checkpoint: signedMessage,
  /** the server's clock (ISO) when it saw it first */
  at: z.string(),
});
export type Witness = z.infer<typeof witness>;

/** In the order in which they were made: by epoch, then by size. Negative where `a` is the older. */
export function byAge(a: Pick<Checkpoint, "epoch" | "seq">, b: Pick<Checkpoint, "epoch" | "seq">): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}
