import { z } from "zod";

export const placeView = z.strictObject({ file: z.string().optional(), line: z.int(), column: z.int() });

export const problemView = z.strictObject({
  message: z.string(),
  place: placeView.optional(),
  path: z.string().optional(),
  found: z.string().optional(),
  expected: z.string().optional(),
});
export type ProblemView = z.infer<typeof problemView>;

/** `error.data.sluice` of every failed call. `code` is that of proto/base/errors.ts. */
export const errorView = z.strictObject({
  code: z.enum([
    "INVALID",
    "NOT_FOUND",
    "CONFLICT",
    "REFUSED",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "UNAVAILABLE",
    "INTERNAL",
  ]),
  message: z.string(),
  /** what the user can do about it */
  cure: z.string().optional(),
  problems: z.array(problemView),
});
export type ErrorView = z.infer<typeof errorView>;
