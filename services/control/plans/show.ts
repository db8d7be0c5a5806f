import { planAnswerTable, planTable } from "@sluice/db/schema/plans";
import type { PlanAnswerView, PlanView } from "@sluice/proto/api/plans";
import { SluiceError } from "@sluice/proto/base/errors";
import { eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";
import { observedFound } from "../hits/show.ts";

export async function showPlan(ctx: Context, { plan }: { plan: string }): Promise<PlanView> {
  const { db } = ctx.database;
  const [row] = await db.select().from(planTable).where(eq(planTable.plan, plan));
  if (!row) throw new SluiceError("NOT_FOUND", `there is no plan ${plan}`);
  const answers = await db.select().from(planAnswerTable).where(eq(planAnswerTable.plan, plan));
  const { policy, revision, state, expiresAt, at, actor, reason, servers } = row;
  const observed = await observedFound(ctx, policy);
  return {
    ...{ plan, policy, state, expiresAt },
    ...(revision !== null && { revision }),
    requested: { at, actor, reason },
    answers: servers.map((server) =>
      viewAnswer(
        server,
        answers.find((answer) => answer.server === server),
      ),
    ),
    ...(observed && { observed }),
  };
}

function viewAnswer(server: string, answer: typeof planAnswerTable.$inferSelect | undefined): PlanAnswerView {
  if (answer === undefined) return { server, state: "waiting", differences: [], warnings: [] };
  const { result: state, manifest, refusal, differences, warnings } = answer;
  return {
    ...{ server, state, differences, warnings },
    ...(manifest !== null && { manifest }),
    ...(refusal && { refusal }),
  };
}
