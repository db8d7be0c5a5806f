import { outcomeResult, refusal } from "@sluice/proto/wire/report";
import { z } from "zod";

/** The identity of one issued manifest. */
export const issue = z.strictObject({
  epoch: z.int(),
  generation: z.int(),
  digest: z.string(),
  rollout: z.string().optional(),
});
export type Issue = z.infer<typeof issue>;

/** A manifest that was confirmed: its text is kept byte for byte, as its digest was taken. */
export const applied = z.strictObject({
  ...issue.shape,
  manifest: z.string(),
  /** the boot in which it was last written: after another one the kernel is empty, and that is nobody's drift */
  boot: z.string(),
  at: z.string(),
});
export type Applied = z.infer<typeof applied>;

/** Manifests that were refused or undone here, newest last: the same issue of one isn't tried again. */
export const refused = z.array(
  z.strictObject({ ...issue.shape, result: outcomeResult, reason: z.string(), at: z.string() }),
);
export type Refused = z.infer<typeof refused>;

export const paused = z.strictObject({ until: z.string(), reason: z.string(), by: z.string() });
export type Paused = z.infer<typeof paused>;

/** Within one boot a pause ends by the clock that nobody can set. */
export const pauseRecord = z.strictObject({
  ...paused.shape,
  boot: z.string().optional(),
  /** in milliseconds since that boot */
  dueMs: z.number().optional(),
});
export type PauseRecord = z.infer<typeof pauseRecord>;

/** A change under way: written before the first write, gone when its outcome was reported. */
export const journal = z.strictObject({
  ...issue.shape,
  manifest: z.string(),
  boot: z.string(),
  startedAt: z.string(),
  /** asked for on the server itself: nobody waits for its confirmation */
  local: z.boolean(),
  /** why the agent gave it up, if it did so itself */
  refusal: refusal.optional(),
});
export type Journal = z.infer<typeof journal>;

export function issueOf({ epoch, generation, digest, rollout }: Issue): Issue {
  return { epoch, generation, digest, ...(rollout === undefined ? {} : { rollout }) };
}
