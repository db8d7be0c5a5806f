import { z } from "zod";

/** More counters than this go in several messages: about 60 kB each. */
export const HITS_CHUNK = 500;

/** A rule of a policy by its path, and what it matched since `since`. */
export const hitCount = z.strictObject({
  path: z.string().max(300),
  /** the rule decided about none of them: it is observed */
  observed: z.boolean(),
  packets: z.int().min(0),
  bytes: z.int().min(0),
});
export type HitCount = z.infer<typeof hitCount>;

/**
 * What rules of one revision matched on one server, signed (domain `hits`) by the agent's own key. Sums that never fall
 * while `counter` is the same; another `counter` began at zero. Sent again, or out of order, they change nothing.
 */
export const hits = z.strictObject({
  v: z.literal(1),
  server: z.string().max(63),
  counter: z.string().max(100),
  policy: z.string().max(63),
  revision: z.int().min(1),
  /** when this server began to count this revision, by its own clock (ISO) */
  since: z.iso.datetime(),
  counts: z.array(hitCount).max(HITS_CHUNK),
});
export type Hits = z.infer<typeof hits>;

export const hitsReply = z.discriminatedUnion("ok", [
  z.strictObject({ ok: z.literal(true) }),
  z.strictObject({ ok: z.literal(false), reason: z.string() }),
]);
export type HitsReply = z.infer<typeof hitsReply>;
