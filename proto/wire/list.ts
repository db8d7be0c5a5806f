import { z } from "zod";
import { blobRef } from "./envelope.ts";

/** An address or a network in canonical form, and until when it counts (ISO; absent: for ever). */
export const listEntry = z.strictObject({ entry: z.string(), until: z.string().optional() });
export type ListEntry = z.infer<typeof listEntry>;

/**
 * One change of a live list; signed (domain `list`) on the list's own subject.
 * `digest` is the list's after the change, see `changeListDigest`.
 */
export const listDelta = z.strictObject({
  epoch: z.int(),
  list: z.string(),
  rev: z.int().min(1),
  previous: z.string(),
  digest: z.string(),
  add: z.array(listEntry),
  del: z.array(z.string()),
  at: z.string(),
});
export type ListDelta = z.infer<typeof listDelta>;

/**
 * A list as a whole; signed (domain `list`) in the `lists` bucket under its name: a snapshot and the deltas since.
 * The snapshot blob is text, one `entry[ until]` a line, in no order. Entries past their `until` are left out when read.
 */
export const listHead = z.strictObject({
  epoch: z.int(),
  list: z.string(),
  rev: z.int().min(0),
  digest: z.string(),
  snapshot: z.strictObject({ rev: z.int().min(0), digest: z.string(), blob: blobRef }).optional(),
  tail: z.array(listDelta),
  /** the list is gone: agents empty its sets */
  retired: z.boolean(),
});
export type ListHead = z.infer<typeof listHead>;
