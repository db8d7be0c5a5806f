import { z } from "zod";
import { listEntry } from "../wire/list.ts";
import { archiveFileView } from "./archive.ts";
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

/** Opaque: what the page before gave. It belongs to its question. */
const cursor = z.string().max(200);

/** Newest first. `before` is a `seq`: only what stands before it. */
export const auditLogInput = auditFilter
  .extend({ before: z.int().min(1).optional(), cursor: cursor.optional(), limit: pageLimit })
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
  /** the same, for this question alone */
  cursor: z.string().optional(),
  /** on the last page: archives in which more may be found */
  archived: z.array(archiveFileView).optional(),
});
export type AuditLogView = z.infer<typeof auditLogView>;

/** A tail gives what is stored from now on (or after `after`), oldest first, and doesn't end. */
export const auditTailInput = auditFilter.extend({ after: z.int().min(0).optional() }).prefault({});

/** For one server, one policy, one list, or the fleet. The fleet comes whole unless there is a limit. */
export const auditAtInput = z.strictObject({
  time: isoTime,
  server: entityName.optional(),
  policy: entityName.optional(),
  list: entityName.optional(),
  /** servers, or entries of the list, after this one */
  after: z.string().max(200).optional(),
  limit: z.int().min(1).max(10_000).optional(),
});

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
  /** the newest event at that time, 0 for none; of those that stayed where that time is archived */
  seq: z.int(),
  /** archives with events of that time or later: all but `seq` is as it was */
  archived: z.array(archiveFileView).optional(),
  frozen: z.boolean(),
  servers: z.array(
    z.strictObject({
      server: z.string(),
      labels: z.record(z.string(), z.string()),
      decided: heldView.extend({ cause: z.string(), by: decidedView }).optional(),
      confirmed: heldView.optional(),
    }),
  ),
  /**
   * the lists that were there; of one server those that its policies block, of a policy those that it blocks. `entries`
   * as they counted at that time; `content` where a server or the list was asked for: of a server's the first fifty
   */
  lists: z.array(
    z.strictObject({
      list: z.string(),
      rev: z.int(),
      digest: z.string(),
      entries: z.int(),
      content: z.array(listEntry).optional(),
    }),
  ),
  /** the policy that was asked for, at the newest revision it had */
  policy: z
    .strictObject({
      policy: z.string(),
      revision: z.int(),
      digest: z.string(),
      text: z.string(),
      revised: decidedView,
    })
    .optional(),
  /** pass as `after` for the next page; absent on the last */
  next: z.string().optional(),
});
export type AuditAtView = z.infer<typeof auditAtView>;

export const auditDiffInput = z.strictObject({
  from: isoTime,
  to: isoTime,
  server: entityName.optional(),
  policy: entityName.optional(),
});

/** What differs between two times, as servers had proven to hold it. */
export const auditDiffView = z.strictObject({
  from: z.string(),
  to: z.string(),
  servers: z.array(
    z.strictObject({
      server: z.string(),
      /** wasn't there at `from` */
      added: z.boolean(),
      policies: z.array(
        z.strictObject({
          policy: z.string(),
          /** revisions; absent where the server didn't hold it */
          from: z.int().optional(),
          to: z.int().optional(),
        }),
      ),
      labels: z.strictObject({ set: z.record(z.string(), z.string()), unset: z.array(z.string()) }),
      /** of what it held; absent where the manifest is the same */
      manifest: z.strictObject({ from: z.string().optional(), to: z.string().optional() }).optional(),
    }),
  ),
  /** of the lists that there were: `add` and `del` are the first of them, `added` and `removed` count all */
  lists: z.array(
    z.strictObject({
      list: z.string(),
      from: z.int(),
      to: z.int(),
      added: z.int(),
      removed: z.int(),
      add: z.array(z.string()),
      del: z.array(z.string()),
    }),
  ),
  frozen: z.strictObject({ from: z.boolean(), to: z.boolean() }),
  /** of the policy that was asked for: its newest revisions then, and the difference of their texts */
  policy: z.strictObject({ policy: z.string(), from: z.int(), to: z.int(), diff: z.string() }).optional(),
});
export type AuditDiffView = z.infer<typeof auditDiffView>;

export const auditWhyInput = z.strictObject({
  server: entityName,
  /** as a policy writes it, or as iptables-save prints it */
  rule: z.string().min(1).max(2_000),
  /** now unless said */
  time: isoTime.optional(),
});

/** The event by which something came about; seq 0 where it isn't in the database, but in an archive. */
export const auditCause = decidedView.extend({ seq: z.int() });

/** Why a rule stands on a server: the line, the revision it came with, and what brought that to the server. */
export const auditWhyView = z.strictObject({
  server: z.string(),
  policy: z.string(),
  /** the revision that the server held */
  revision: z.int(),
  /** of that revision's text */
  line: z.int(),
  text: z.string(),
  /** where the line first stood, and has since */
  since: z.strictObject({ revision: z.int(), revised: auditCause }),
  /** since when the server has held the line without a break */
  held: z.strictObject({
    generation: z.int(),
    revision: z.int(),
    decided: auditCause,
    confirmedAt: z.string(),
    /** who started it, and why; absent where facts or labels brought it */
    rollout: z.strictObject({ rollout: z.string(), started: decidedView }).optional(),
  }),
});
export type AuditWhyView = z.infer<typeof auditWhyView>;

export const auditTimelineInput = z.strictObject({
  server: entityName,
  since: isoTime.optional(),
  until: isoTime.optional(),
  cursor: cursor.optional(),
  limit: pageLimit,
});

export const timelineKind = z.enum(["change", "outcome", "revert", "drift", "pause", "server"]);

/** Newest first. */
export const auditTimelineView = z.strictObject({
  server: z.string(),
  entries: z.array(
    z.strictObject({
      seq: z.int(),
      at: z.string(),
      kind: timelineKind,
      what: z.string(),
      /** who caused it: of a change and its outcome, who started the rollout; of a drift, who the kernel says it was */
      who: z.string(),
      why: z.string(),
      rollout: z.string().optional(),
    }),
  ),
  cursor: z.string().optional(),
  /** on the last page: archives in which more may be found */
  archived: z.array(archiveFileView).optional(),
});
export type AuditTimelineView = z.infer<typeof auditTimelineView>;
