import { z } from "zod";
import { isoTime, reason } from "./common.ts";

/** Up to a time, or up to an event. */
export const archivableInput = z.strictObject({
  before: isoTime.optional(),
  to: z.int().min(1).optional(),
});

/** What would be archived: the first and the last event. */
export const archivableView = z.strictObject({ from: z.int(), to: z.int(), events: z.int() });
export type ArchivableView = z.infer<typeof archivableView>;

/** Says that these events are in a file, which was checked; what needn't stay is dropped then. */
export const archiveInput = z.strictObject({
  from: z.int().min(1),
  to: z.int().min(1),
  /** of the chain at the last event */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** sha256 of the file */
  file: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(1),
  reason,
});
export type ArchiveInput = z.input<typeof archiveInput>;

/** Of the newest archive: how many events up to it stay, and how far the others are dropped. */
export const archiveView = z.strictObject({
  from: z.int(),
  to: z.int(),
  /** sha256 of its file */
  file: z.string(),
  kept: z.int(),
  droppedTo: z.int(),
});
export type ArchiveView = z.infer<typeof archiveView>;

/** While it is chosen which events stay: how far that has come. At the end: the result. */
export type ArchiveProgress = { seq: number; of: number } | { result: ArchiveView };

/** An archive of the log, as the log tells of it. */
export const archiveFileView = z.strictObject({
  /** its first and its last event */
  from: z.int(),
  to: z.int(),
  /** of the chain at the last one */
  hash: z.string(),
  /** sha256 of the file */
  file: z.string(),
  bytes: z.int(),
  /** the newest time among its events */
  until: z.string(),
});
export type ArchiveFileView = z.infer<typeof archiveFileView>;

/** Erases a person from the log: as who did something, and the reasons they gave. */
export const eraseInput = z.strictObject({ actor: z.string().min(1).max(500), reason });

export const eraseView = z.strictObject({
  /** how many events had the name */
  events: z.int(),
  /** files that may have it still */
  archives: z.array(archiveFileView),
});
export type EraseView = z.infer<typeof eraseView>;
