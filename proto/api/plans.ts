import { z } from "zod";
import { difference } from "../manifest/difference.ts";
import { refusal } from "../wire/report.ts";
import { decidedView, entityName, pageLimit, reason } from "./common.ts";
import { foundView } from "./hits.ts";
import { policyFile } from "./policies.ts";

/** A stored policy, or a file that isn't stored yet. */
export const requestPlanInput = z.strictObject({
  of: z.union([
    z.strictObject({ policy: entityName, revision: z.int().min(1).optional() }),
    z.strictObject({ file: policyFile }),
  ]),
  /** only these of the targeted servers */
  servers: z.array(entityName).min(1).optional(),
  /** after it, a server that hasn't answered counts as silent */
  deadlineMs: z.int().min(1000).max(600_000).default(30_000),
  reason,
});

export const planAnswerView = z.strictObject({
  server: z.string(),
  state: z.enum(["waiting", "ok", "refused", "silent"]),
  /** digest of the manifest it rehearsed */
  manifest: z.string().optional(),
  refusal: refusal.optional(),
  /** what its kernel would change; empty means that it holds this already */
  differences: z.array(difference),
  warnings: z.array(z.string()),
});
export type PlanAnswerView = z.infer<typeof planAnswerView>;

export const planRowView = z.strictObject({
  plan: z.string(),
  policy: z.string(),
  /** absent where the text isn't stored as a revision */
  revision: z.int().optional(),
  /** `refused` once any server refused or stayed silent, and all are known */
  state: z.enum(["running", "ok", "refused"]),
  servers: z.int(),
  answered: z.int(),
  expiresAt: z.string(),
  requested: decidedView,
});
export type PlanRowView = z.infer<typeof planRowView>;

export const planView = planRowView.omit({ servers: true, answered: true }).extend({
  answers: z.array(planAnswerView),
  /** what observing found so far, where servers hold a revision of the policy that is observed */
  observed: foundView.optional(),
});
export type PlanView = z.infer<typeof planView>;

/** show and watch. A watch gives the whole view at every answer, and ends with the plan. */
export const showPlanInput = z.strictObject({ plan: z.string().min(1) });
export const listPlansInput = z
  .strictObject({ policy: entityName.optional(), limit: pageLimit })
  .prefault({});
