import { z } from "zod";
import { archiveFileView } from "./archive.ts";
import { auditFilter } from "./audit.ts";

/**
 * What was done to the log, as far as its traces tell:
 *
 * - `edited`: an event's content, or a hash of it, is another one
 * - `altered`: what stands beside an event (a column for queries, a name or a reason) says otherwise; the event is whole
 * - `deleted`, `moved`: it isn't there, it stands in another's place
 * - `truncated`: the newest events are gone
 * - `added`: it stands after the end that the log knows of
 * - `rewritten`: all hashes follow from each other, and aren't those that were signed
 * - `forged`: a checkpoint or a witness' word isn't signed by whom it names
 * - `tree`: the stored Merkle tree isn't that of the events
 * - `ahead`: what is made of the log has come further than the log goes
 * - `incomplete`: a bundle ends too early, or can't be read
 */
export const tampering = z.enum([
  "edited",
  "altered",
  "deleted",
  "moved",
  "truncated",
  "added",
  "rewritten",
  "forged",
  "tree",
  "ahead",
  "incomplete",
]);
export type Tampering = z.infer<typeof tampering>;

export const finding = z.strictObject({
  tampering,
  /** the first event concerned */
  seq: z.int(),
  /** where it isn't known which one: the last that it may be */
  upTo: z.int().optional(),
  type: z.string().optional(),
  stream: z.string().optional(),
  message: z.string(),
});
export type Finding = z.infer<typeof finding>;

/** What was signed of the log, and holds. */
export const provenView = z.strictObject({
  /** how many signatures */
  signatures: z.int(),
  /** the newest event that one of them stands for; 0 for none */
  upTo: z.int(),
  /** servers that bear witness */
  witnesses: z.int(),
});

export const auditVerifyView = z.strictObject({
  ok: z.boolean(),
  events: z.int(),
  head: z.strictObject({ seq: z.int(), hash: z.string() }),
  /** of the Merkle tree over the events that it holds */
  tree: z.strictObject({ size: z.int(), root: z.string().optional() }),
  proven: provenView,
  /** events that are in archives; absent where none are */
  archived: z
    .strictObject({
      /** the last of them */
      upTo: z.int(),
      /** how many of them stay in the database, too */
      kept: z.int(),
      files: z.array(archiveFileView),
    })
    .optional(),
  /** the first bad event first; at most 20 */
  findings: z.array(finding),
  /** what is no fault, and worth knowing */
  notes: z.array(z.string()),
});
export type AuditVerifyView = z.infer<typeof auditVerifyView>;

/** While it goes on: how far it has come. At the end: the result. */
export type AuditVerifyProgress = { seq: number; of: number } | { result: AuditVerifyView };

const bundleAt = z.strictObject({
  /** the checkpoint that all is proven by */
  anchor: z.int().min(1),
  /** the last event that was looked at */
  after: z.int().min(0),
  /** how many were written */
  events: z.int().min(0),
});

/** Part after part of a bundle: the first without `at`, then with the `next` of the one before. */
export const auditBundleInput = auditFilter
  .omit({ text: true })
  .extend({ from: z.int().min(1).optional(), to: z.int().min(1).optional(), at: bundleAt.optional() })
  .prefault({});
export type AuditBundleInput = NonNullable<z.input<typeof auditBundleInput>>;

/** `next` is absent after the last. */
export const auditBundleView = z.strictObject({
  lines: z.array(z.string()),
  next: bundleAt.optional(),
});
export type AuditBundleView = z.infer<typeof auditBundleView>;

/** What was written into the file. */
export const auditExportView = z.strictObject({ file: z.string(), events: z.int(), bytes: z.int() });

export const auditCheckView = z.strictObject({
  ok: z.boolean(),
  events: z.int(),
  /** the first and the last event that it has; 0 for none */
  from: z.int(),
  to: z.int(),
  /** of the chain at the last event that it has, 64 hex digits */
  hash: z.string(),
  /** the newest event that was signed, in it or not */
  signedUpTo: z.int(),
  checkpoints: z.int(),
  witnesses: z.int(),
  /** the key that signed is the one that was given; else it is the bundle's own word */
  pinned: z.boolean(),
  findings: z.array(finding),
  notes: z.array(z.string()),
});
export type AuditCheckView = z.infer<typeof auditCheckView>;
