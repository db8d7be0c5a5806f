import { z } from "zod";
import { assignedView, decidedView, entityName, isoTime, pageLimit } from "./common.ts";

export const auditFilter = z.strictObject({
  policy: entityName.optional(),
  server: entityName.optional(),
  list: entityName.optional(),
  rollout: z.string().optional(),
  actor: z.string().optional(),
  /** event types, such as PolicyRevised */
  types: z.array(z.string()).optional(),
  correlation: z.string().optional(),
  since: isoTime.optional(),
  until: isoTime.optional(),
  /** words that all stand in the event's texts, its actor or its reason, case ignored; in "quotes" what stands there as it is */
  text: z.string().min(1).optional(),
});

/** Newest first. `before` is the smallest `seq` seen so far. */
export const auditLogInput = auditFilter
  .extend({ before: z.int().min(1).optional(), limit: pageLimit })
  .prefault({});

export const auditEventView = z.strictObject({
  seq: z.int(),
  at: z.string(),
  type: z.string(),
  stream: z.string(),
  actor: z.string(),
  reason: z.string(),
  /** one command and all that follows from it share it */
  correlation: z.string(),
  /** the event in one line for people */
  summary: z.string(),
  data: z.record(z.string(), z.unknown()),
  hash: z.string(),
});
export type AuditEventView = z.infer<typeof auditEventView>;

export const auditLogView = z.strictObject({
  events: z.array(auditEventView),
  /** pass as `before` for the next page; absent on the last */
  next: z.int().optional(),
});
export type AuditLogView = z.infer<typeof auditLogView>;

/** A tail gives what is stored from now on (or after `after`), oldest first, and doesn't end. */
export const auditTailInput = auditFilter.extend({ after: z.int().min(0).optional() }).prefault({});

export const auditAtInput = z.strictObject({ time: isoTime, server: entityName.optional() });

const heldView = z.strictObject({
  epoch: z.int(),
  generation: z.int(),
  assigned: z.array(assignedView),
  manifest: z.string(),
  at: z.string(),
});

/** What was in force at a time. `decided` is what a server was to hold, `confirmed` what it had proven to hold. */
export const auditAtView = z.strictObject({
  time: z.string(),
  /** the newest event at that time, 0 for none */
  seq: z.int(),
  frozen: z.boolean(),
  servers: z.array(
    z.strictObject({
      server: z.string(),
      labels: z.record(z.string(), z.string()),
      decided: heldView.extend({ cause: z.string(), by: decidedView }).optional(),
      confirmed: heldView.optional(),
    }),
  ),
  /** the lists that were there; `entries` as they counted at that time */
  lists: z.array(z.strictObject({ list: z.string(), rev: z.int(), digest: z.string(), entries: z.int() })),
});
export type AuditAtView = z.infer<typeof auditAtView>;
