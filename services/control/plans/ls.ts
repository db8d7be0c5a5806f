import { planAnswerTable, planTable } from "@sluice/db/schema/plans";
import type { listPlansInput, PlanRowView } from "@sluice/proto/api/plans";
import { count, desc, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";

/** Newest first. */
export async function listPlans(
  { database: { db } }: Context,
  { policy, limit }: z.output<typeof listPlansInput>,
): Promise<PlanRowView[]> {
  const rows = await db
    .select()
    .from(planTable)
    .where(policy === undefined ? undefined : eq(planTable.policy, policy))
    .orderBy(desc(planTable.at))
    .limit(limit);
  const counts = await db
    .select({ plan: planAnswerTable.plan, answered: count() })
    .from(planAnswerTable)
    .where(inArray(planAnswerTable.plan, ["", ...rows.map(({ plan }) => plan)]))
    .groupBy(planAnswerTable.plan);
  const answered = new Map(counts.map((row) => [row.plan, row.answered]));
  return rows.map(({ plan, policy, revision, state, servers, expiresAt, at, actor, reason }) => ({
    ...{ plan, policy, state, expiresAt },
    ...(revision !== null && { revision }),
    servers: servers.length,
    answered: answered.get(plan) ?? 0,
    requested: { at, actor, reason },
  }));
}
