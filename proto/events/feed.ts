import { z } from "zod";

/**
 * One message of the public feed: an event of the log as it was stored, on `sluice.v1.event.TYPE` in the EVENTS stream.
 * A message's sequence in the stream is its event's `seq`. Actor and reason are not in it: what people may ask to have
 * erased stays in the database. Fields are added, never renamed; docs/feed.md is for those who read it.
 */
const place = {
  /** position in the log: gapless, from 1 */
  seq: z.int().min(1),
  /** of the chain up to this event, 64 hex digits */
  hash: z.string(),
  /** a UUID; the same event has the same id for ever */
  id: z.string(),
  /** `policy-NAME`, `server-NAME`, … and the event's place in it, from 1 */
  stream: z.string(),
  streamVersion: z.int().min(1),
  type: z.string(),
  /** in which version of its type's shape `data` is written */
  schemaVersion: z.int().min(1),
  /** the policy, server, list and rollout it is about, where it is about one */
  keys: z.strictObject({
    policy: z.string().optional(),
    server: z.string().optional(),
    list: z.string().optional(),
    rollout: z.string().optional(),
  }),
  /** ISO time of the decision */
  at: z.string(),
  /** one command and all that followed from it share it */
  correlation: z.string(),
};

export const feedMessage = z.union([
  z.strictObject({ ...place, data: z.unknown() }),
  /** `data` didn't fit into a message: `sluice audit log` has it, under its seq */
  z.strictObject({ ...place, cut: z.literal(true) }),
  /**
   * the event is in an archive, and was when the stream was filled again; on `sluice.v1.event.Archived`. `leaf` is its place in
   * the Merkle tree: sha256(0x00 ‖ hash)
   */
  z.strictObject({ seq: place.seq, archived: z.literal(true), leaf: z.string() }),
]);
export type FeedMessage = z.infer<typeof feedMessage>;
