import { z } from "zod";

/**
 * What the API takes and gives back. The views are the documented `--json` shapes of the CLI: fields are added, never
 * renamed or taken away. Times are ISO 8601 in UTC, durations milliseconds, ids opaque text.
 */
export const entityName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "lower-case letters, digits and inner dashes, at most 63");

export const labels = z.record(
  z.string().regex(/^[^\s=\p{Cc}]{1,63}$/u, "1 to 63 characters without blanks and ="),
  z.string().regex(/^\P{Cc}{0,255}$/u, "one line of at most 255 characters"),
);

/** Why it is done: kept with every event it leads to. May be empty. */
export const reason = z.string().max(2000).default("");

export const isoTime = z.iso.datetime({ offset: true });

/** Who decided it, when and why. */
export const decidedView = z.strictObject({ at: z.string(), actor: z.string(), reason: z.string() });
export type DecidedView = z.infer<typeof decidedView>;

/** A policy's revision, as it stands in an assignment. */
export const assignedView = z.strictObject({ policy: z.string(), revision: z.int() });
export type AssignedView = z.infer<typeof assignedView>;

export const pageLimit = z.int().min(1).max(1000).default(100);
