import { eq } from "drizzle-orm";
import { planAnswerTable, planTable } from "../schema/plans.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const plans: Projection = {
  name: "plans",
  tables: [planAnswerTable, planTable],
  async apply(tx, event) {
    switch (event.type) {
      case "PlanRequested": {
        const { plan, policy, revision, servers, expiresAt } = event.data;
        const row = { plan, policy, revision, servers, expiresAt, state: "running" as const };
        await tx.insert(planTable).values({ ...row, ...decidedBy(event) });
        return;
      }
      case "PlanAnswered": {
        const { plan, server, result, manifest, refusal, differences, warnings } = event.data;
        await tx
          .insert(planAnswerTable)
          .values({ plan, server, result, manifest, refusal, differences, warnings });
        return;
      }
      case "PlanFinished": {
        const { plan, result } = event.data;
        await tx.update(planTable).set({ state: result }).where(eq(planTable.plan, plan));
        return;
      }
    }
  },
};
