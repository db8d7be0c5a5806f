import { planAnswerTable, planTable } from "../schema/plans.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";

export const plans = projection({
  name: "plans",
  tables: [planAnswerTable, planTable],
  on: {
    PlanRequested(rows, event) {
      const { plan, policy, revision, servers, expiresAt } = event.data;
      const row = { plan, policy, revision, servers, expiresAt, state: "running" as const };
      rows.insert(planTable, { ...row, ...decidedBy(event) });
    },
    PlanAnswered(rows, { data }) {
      const { plan, server, result, manifest, refusal, differences, warnings } = data;
      rows.insert(planAnswerTable, { plan, server, result, manifest, refusal, differences, warnings });
    },
    PlanFinished(rows, { data }) {
      rows.update(planTable, { plan: data.plan }, { state: data.result });
    },
  },
});
