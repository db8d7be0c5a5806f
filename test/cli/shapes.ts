import { exported } from "@sluice/agents/run/export";
import { status } from "@sluice/agents/run/local-protocol";
import { issue, paused } from "@sluice/agents/state/schemas";
import { VIEWS } from "@sluice/cli/views";
import { archiveFileView, archiveView, eraseView } from "@sluice/proto/api/archive";
import {
  auditAtView,
  auditCause,
  auditDiffView,
  auditEventView,
  auditLogView,
  auditTimelineView,
  auditWhyView,
} from "@sluice/proto/api/audit";
import { assignedView, decidedView } from "@sluice/proto/api/common";
import { driftView, repairDriftView, showDriftView } from "@sluice/proto/api/drift";
import { errorView, placeView, problemView } from "@sluice/proto/api/error";
import { explainView } from "@sluice/proto/api/explain";
import { addReaderView, readerRowView, removeReaderView } from "@sluice/proto/api/feed";
import { createTokenView, fleetView, tokenRowView } from "@sluice/proto/api/fleet";
import { policyHitsView, ruleHitsView } from "@sluice/proto/api/hits";
import { importView, leftView } from "@sluice/proto/api/import";
import { changeListView, listRowView, listView, retireListView } from "@sluice/proto/api/lists";
import { planAnswerView, planRowView, planView } from "@sluice/proto/api/plans";
import {
  applyPoliciesView,
  assignmentView,
  blamePolicyView,
  diffPolicyView,
  lintPoliciesView,
  policyHistoryView,
  policyRowView,
  policyView,
  retirePolicyView,
} from "@sluice/proto/api/policies";
import { auditCheckView, auditExportView, auditVerifyView, finding } from "@sluice/proto/api/proof";
import { rolloutRowView, rolloutServerView, rolloutView } from "@sluice/proto/api/rollouts";
import { addServerView, labelServerView, serverRowView, serverView } from "@sluice/proto/api/servers";
import { rehearsedView, testPoliciesView } from "@sluice/proto/api/tests";
import { difference } from "@sluice/proto/manifest/difference";
import { capabilities, deviceFacts, facts } from "@sluice/proto/manifest/facts";
import { origin } from "@sluice/proto/manifest/manifest";
import { metRule, testResult } from "@sluice/proto/manifest/test-result";
import { listEntry } from "@sluice/proto/wire/list";
import { applyStats, culprit, listFill, refusal } from "@sluice/proto/wire/report";
import { z } from "zod";

/** Every shape that docs/cli.md names. What isn't named here is described inside the shape that holds it. */
export const SHAPES = {
  addServer: addServerView,
  serverRow: serverRowView,
  server: serverView,
  fill: listFill,
  labelServer: labelServerView,
  applyPolicies: applyPoliciesView,
  lintPolicies: lintPoliciesView,
  explain: explainView,
  testPolicies: testPoliciesView,
  rehearsed: rehearsedView,
  policyRow: policyRowView,
  policy: policyView,
  policyRevision: policyHistoryView.element,
  blamePolicy: blamePolicyView,
  diffPolicy: diffPolicyView,
  retirePolicy: retirePolicyView,
  policyHits: policyHitsView,
  ruleHits: ruleHitsView,
  import: importView,
  left: leftView,
  plan: planView,
  planRow: planRowView,
  planAnswer: planAnswerView,
  rollout: rolloutView,
  rolloutRow: rolloutRowView,
  rolloutServer: rolloutServerView,
  drift: driftView,
  showDrift: showDriftView,
  repairDrift: repairDriftView,
  listRow: listRowView,
  list: listView,
  changeList: changeListView,
  retireList: retireListView,
  auditLog: auditLogView,
  auditEvent: auditEventView,
  auditAt: auditAtView,
  auditDiff: auditDiffView,
  auditTimeline: auditTimelineView,
  auditWhy: auditWhyView,
  auditCause,
  auditVerify: auditVerifyView,
  auditExport: auditExportView,
  auditCheck: auditCheckView,
  archive: archiveView,
  archiveFile: archiveFileView,
  erase: eraseView,
  finding,
  addReader: addReaderView,
  readerRow: readerRowView,
  removeReader: removeReaderView,
  fleet: fleetView,
  createToken: createTokenView,
  tokenRow: tokenRowView,
  error: errorView,
  problem: problemView,
  place: placeView,
  decided: decidedView,
  assigned: assignedView,
  assignment: assignmentView,
  difference,
  origin,
  refusal,
  testResult,
  metRule,
  applyStats,
  culprit,
  listEntry,
  facts,
  deviceFacts,
  capabilities,
  agentStatus: status,
  agentExport: exported,
  issue,
  paused,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type Row = readonly [field: string, type: string];

/** The rows that a shape's table must have: `field?` may be absent; fields of an unnamed shape stand as `a.b`, `a[].b`. */
export function rowsOf(schema: z.ZodType): Row[] {
  return fieldsOf(schema).flatMap(([name, field, isOptional]) => {
    const inner = unwrap(field);
    const [bare, brackets] = elementOf(inner.schema);
    const mark = isOptional || inner.isOptional ? "?" : "";
    if (nameOf(bare) !== undefined || fieldsOf(bare).length === 0)
      return [[`${name}${mark}`, typeText(inner.schema)] as const];
    return rowsOf(bare).map(([below, type]) => [`${name}${mark}${brackets}.${below}`, type] as const);
  });
}

/** What a command prints, in the words of its section: `server`, `serverRow[]`. */
export function jsonOf(command: keyof typeof VIEWS): string {
  return typeText(VIEWS[command]);
}

type Field = readonly [name: string, schema: z.ZodType, isOptional: boolean];

/** Of all variants of a union; what isn't in each of them is optional. */
function fieldsOf(schema: z.ZodType): Field[] {
  if (schema instanceof z.ZodObject)
    return Object.entries<z.ZodType>(schema.shape).map(([name, field]) => [name, field, false]);
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return [];
  const variants = (schema.options as z.ZodType[]).map(fieldsOf);
  const found = new Map<string, Field>();
  for (const [name, field] of variants.flat()) {
    const isEverywhere = variants.every((fields) => fields.some(([other]) => other === name));
    const type = isEverywhere && field instanceof z.ZodLiteral ? z.boolean() : field;
    if (!found.has(name)) found.set(name, [name, type, !isEverywhere]);
  }
  return [...found.values()];
}

function unwrap(schema: z.ZodType): { schema: z.ZodType; isOptional: boolean } {
  return schema instanceof z.ZodOptional
    ? { schema: schema.unwrap() as z.ZodType, isOptional: true }
    : { schema, isOptional: false };
}

function elementOf(schema: z.ZodType): [element: z.ZodType, brackets: string] {
  return schema instanceof z.ZodArray ? [schema.element as z.ZodType, "[]"] : [schema, ""];
}

function typeText(schema: z.ZodType): string {
  const name = nameOf(schema);
  if (name !== undefined) return name;
  if (schema instanceof z.ZodArray) {
    const element = typeText(schema.element as z.ZodType);
    return element.includes(" ") ? `(${element})[]` : `${element}[]`;
  }
  if (schema instanceof z.ZodString || schema instanceof z.ZodISODateTime) return "text";
  if (schema instanceof z.ZodNumber) return schema.isInt ? "integer" : "number";
  if (schema instanceof z.ZodBoolean) return "boolean";
  if (schema instanceof z.ZodEnum) return schema.options.join(", ");
  if (schema instanceof z.ZodLiteral) return [...schema.values].join(", ");
  if (schema instanceof z.ZodUnion) return (schema.options as z.ZodType[]).map(typeText).join(", ");
  if (schema instanceof z.ZodRecord) return `map of ${typeText(schema.valueType as z.ZodType)}`;
  if (schema instanceof z.ZodUnknown) return "any";
  throw new Error(`a kind of field that the page can't tell of: ${schema.type}`);
}

function nameOf(schema: z.ZodType): string | undefined {
  return Object.entries(SHAPES).find(([, shape]) => shape === schema)?.[0];
}
