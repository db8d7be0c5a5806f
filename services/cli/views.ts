import { archiveView, eraseView } from "@sluice/proto/api/archive";
import {
  auditAtView,
  auditDiffView,
  auditLogView,
  auditTimelineView,
  auditWhyView,
} from "@sluice/proto/api/audit";
import { driftView, repairDriftView, showDriftView } from "@sluice/proto/api/drift";
import { explainView } from "@sluice/proto/api/explain";
import { addReaderView, readerRowView, removeReaderView } from "@sluice/proto/api/feed";
import { createTokenView, fleetView, tokenRowView } from "@sluice/proto/api/fleet";
import { policyHitsView } from "@sluice/proto/api/hits";
import { importView } from "@sluice/proto/api/import";
import { changeListView, listRowView, listView, retireListView } from "@sluice/proto/api/lists";
import { planRowView, planView } from "@sluice/proto/api/plans";
import {
  applyPoliciesView,
  blamePolicyView,
  diffPolicyView,
  lintPoliciesView,
  policyHistoryView,
  policyRowView,
  policyView,
  retirePolicyView,
} from "@sluice/proto/api/policies";
import { auditCheckView, auditExportView, auditVerifyView } from "@sluice/proto/api/proof";
import { rolloutRowView, rolloutView } from "@sluice/proto/api/rollouts";
import { addServerView, labelServerView, serverRowView, serverView } from "@sluice/proto/api/servers";
import { testPoliciesView } from "@sluice/proto/api/tests";
import { z } from "zod";

/**
 * What each command prints with `--json`: one line of this shape, or `{"error": errorView}`. Nothing is checked against
 * it at run time, so that an older CLI goes on working with a newer control, which may add fields.
 */
export const VIEWS = {
  "server add": addServerView,
  "server ls": z.array(serverRowView),
  "server show": serverView,
  "server label": labelServerView,
  "policy apply": applyPoliciesView,
  "policy lint": lintPoliciesView,
  "policy ls": z.array(policyRowView),
  "policy show": policyView,
  "policy history": policyHistoryView,
  "policy hits": policyHitsView,
  "policy blame": blamePolicyView,
  "policy diff": diffPolicyView,
  "policy retire": retirePolicyView,
  import: importView,
  adopt: rolloutView,
  test: testPoliciesView,
  explain: explainView,
  plan: planView,
  "plan ls": z.array(planRowView),
  "plan show": planView,
  "rollout start": rolloutView,
  "rollout confirm": rolloutView,
  "rollout ls": z.array(rolloutRowView),
  "rollout show": rolloutView,
  "rollout watch": rolloutView,
  rollback: rolloutView,
  "drift ls": z.array(driftView),
  "drift show": showDriftView,
  "drift repair": repairDriftView,
  "list create": listRowView,
  "list add": changeListView,
  "list rm": changeListView,
  "list ls": z.array(listRowView),
  "list show": listView,
  "list retire": retireListView,
  "audit log": auditLogView,
  "audit at": auditAtView,
  "audit diff": auditDiffView,
  "audit timeline": auditTimelineView,
  "audit why": auditWhyView,
  "audit verify": auditVerifyView,
  "audit export": auditExportView,
  "audit check": auditCheckView,
  "audit archive": archiveView,
  "audit erase": eraseView,
  "feed add": addReaderView,
  "feed ls": z.array(readerRowView),
  "feed rm": removeReaderView,
  status: fleetView,
  freeze: fleetView,
  thaw: fleetView,
  "token create": createTokenView,
  "token ls": z.array(tokenRowView),
  "token rm": tokenRowView,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type CommandName = keyof typeof VIEWS;
