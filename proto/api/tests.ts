import { z } from "zod";
import { testResult } from "../manifest/test-result.ts";
import { refusal } from "../wire/report.ts";
import { problemView } from "./error.ts";

/** What `sluice-agent rehearse` answers. */
export const rehearsedView = z.strictObject({
  ok: z.boolean(),
  /** why the kernel doesn't take it */
  refusal: refusal.optional(),
  tests: z.array(testResult),
});
export type RehearsedView = z.infer<typeof rehearsedView>;

/** What `sluice test` found out, file by file. */
export const testPoliciesView = z.strictObject({
  /** every file is right, this kernel takes it, and every test held */
  ok: z.boolean(),
  files: z.array(
    rehearsedView.omit({ ok: true }).extend({
      file: z.string(),
      policy: z.string().optional(),
      problems: z.array(problemView),
    }),
  ),
});
export type TestPoliciesView = z.infer<typeof testPoliciesView>;
