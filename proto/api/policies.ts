import { z } from "zod";
import { assignedView, decidedView, entityName, labels, reason } from "./common.ts";
import { problemView } from "./error.ts";

/** One file as the user has it; `name` is what problems are reported with. */
export const policyFile = z.strictObject({ name: z.string().min(1), text: z.string().max(1024 * 1024) });
export type PolicyFile = z.infer<typeof policyFile>;

export const applyPoliciesInput = z.strictObject({
  files: z.array(policyFile).min(1).max(1000),
  /** retire the policies that aren't among the files */
  prune: z.boolean().default(false),
  /** say what would be done, do nothing */
  dryRun: z.boolean().default(false),
  reason,
});

export const applyPoliciesView = z.strictObject({
  dryRun: z.boolean(),
  policies: z.array(
    z.strictObject({
      file: z.string(),
      policy: z.string(),
      action: z.enum(["created", "revised", "unchanged"]),
      revision: z.int(),
      digest: z.string(),
    }),
  ),
  /** what `prune` retired, or would retire */
  retired: z.array(z.string()),
});
export type ApplyPoliciesView = z.infer<typeof applyPoliciesView>;

export const lintPoliciesInput = z.strictObject({ files: z.array(policyFile).min(1).max(1000) });

export const lintPoliciesView = z.strictObject({
  ok: z.boolean(),
  files: z.array(
    z.strictObject({ file: z.string(), policy: z.string().optional(), problems: z.array(problemView) }),
  ),
});
export type LintPoliciesView = z.infer<typeof lintPoliciesView>;

export const retirePolicyInput = z.strictObject({ policy: entityName, reason });
export const retirePolicyView = z.strictObject({ policy: z.string(), revision: z.int() });
export type RetirePolicyView = z.infer<typeof retirePolicyView>;

export const listPoliciesInput = z.strictObject({ retired: z.boolean().default(false) }).prefault({});

export const policyRowView = z.strictObject({
  policy: z.string(),
  revision: z.int(),
  digest: z.string(),
  description: z.string(),
  targets: z.strictObject({ servers: z.array(z.string()), labels }),
  /** how many servers are assigned any revision of it */
  servers: z.int(),
  retired: z.boolean(),
  revised: decidedView,
});
export type PolicyRowView = z.infer<typeof policyRowView>;

export const showPolicyInput = z.strictObject({ policy: entityName, revision: z.int().min(1).optional() });

export const policyView = policyRowView.omit({ servers: true }).extend({
  /** the newest revision; `revision` is the one shown */
  latest: z.int(),
  text: z.string(),
  /** who is assigned which revision of it */
  servers: z.array(z.strictObject({ server: z.string(), revision: z.int() })),
});
export type PolicyView = z.infer<typeof policyView>;

export const policyHistoryInput = z.strictObject({ policy: entityName });
export const policyHistoryView = z.array(
  z.strictObject({ revision: z.int(), digest: z.string(), bytes: z.int(), revised: decidedView }),
);
export type PolicyHistoryView = z.infer<typeof policyHistoryView>;

/** Unless said, from the revision before `to`, to the newest. Revision 0 is the empty text. */
export const diffPolicyInput = z.strictObject({
  policy: entityName,
  from: z.int().min(0).optional(),
  to: z.int().min(1).optional(),
});
export const diffPolicyView = z.strictObject({
  policy: z.string(),
  from: z.int(),
  to: z.int(),
  identical: z.boolean(),
  /** a unified diff, empty when identical */
  diff: z.string(),
});
export type DiffPolicyView = z.infer<typeof diffPolicyView>;

/** The newest revision unless said. */
export const blamePolicyInput = z.strictObject({
  policy: entityName,
  revision: z.int().min(1).optional(),
});
/** Each line with the revision that it came with: a rule that only changed its place, or whose chain got a new name, is the same. */
export const blamePolicyView = z.strictObject({
  policy: z.string(),
  revision: z.int(),
  lines: z.array(
    z.strictObject({ line: z.int(), text: z.string(), revision: z.int(), revised: decidedView }),
  ),
});
export type BlamePolicyView = z.infer<typeof blamePolicyView>;

export const listAssignmentsInput = z
  .strictObject({ server: entityName.optional(), policy: entityName.optional() })
  .prefault({});

export const assignmentView = z.strictObject({
  server: z.string(),
  epoch: z.int(),
  generation: z.int(),
  assigned: z.array(assignedView),
  /** digest of the manifest that the assignment makes on this server */
  manifest: z.string(),
  cause: z.string(),
  rollout: z.string().optional(),
  decided: decidedView,
  /** the newest generation that the server has confirmed */
  confirmed: z.strictObject({ generation: z.int(), manifest: z.string(), at: z.string() }).optional(),
});
export type AssignmentView = z.infer<typeof assignmentView>;
