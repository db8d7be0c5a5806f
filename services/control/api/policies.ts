import { policyHitsInput } from "@sluice/proto/api/hits";
import {
  applyPoliciesInput,
  blamePolicyInput,
  diffPolicyInput,
  lintPoliciesInput,
  listAssignmentsInput,
  listPoliciesInput,
  policyHistoryInput,
  retirePolicyInput,
  showPolicyInput,
} from "@sluice/proto/api/policies";
import { listAssignments } from "../assignments/ls.ts";
import { policyHits } from "../hits/show.ts";
import { blamePolicy } from "../policies/blame.ts";
import { diffPolicy } from "../policies/diff.ts";
import { policyHistory } from "../policies/history.ts";
import { lintPolicies } from "../policies/lint.ts";
import { listPolicies } from "../policies/ls.ts";
import { retirePolicy } from "../policies/retire.ts";
import { applyPolicies } from "../policies/revise.ts";
import { showPolicy } from "../policies/show.ts";
import { operator, router, viewer } from "./trpc.ts";

export const policiesRouter = router({
  // `apply` is a word that tRPC keeps for itself
  revise: operator.input(applyPoliciesInput).mutation(({ ctx, input }) => applyPolicies(ctx, input)),
  lint: viewer.input(lintPoliciesInput).mutation(({ ctx, input }) => lintPolicies(ctx, input)),
  retire: operator.input(retirePolicyInput).mutation(({ ctx, input }) => retirePolicy(ctx, input)),
  ls: viewer.input(listPoliciesInput).query(({ ctx, input }) => listPolicies(ctx, input)),
  show: viewer.input(showPolicyInput).query(({ ctx, input }) => showPolicy(ctx, input)),
  history: viewer.input(policyHistoryInput).query(({ ctx, input }) => policyHistory(ctx, input)),
  blame: viewer.input(blamePolicyInput).query(({ ctx, input }) => blamePolicy(ctx, input)),
  hits: viewer.input(policyHitsInput).query(({ ctx, input }) => policyHits(ctx, input)),
  diff: viewer.input(diffPolicyInput).query(({ ctx, input }) => diffPolicy(ctx, input)),
});

export const assignmentsRouter = router({
  ls: viewer.input(listAssignmentsInput).query(({ ctx, input }) => listAssignments(ctx, input)),
});
