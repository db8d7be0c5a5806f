import { planTable } from "@sluice/db/schema/plans";
import { streamOf } from "@sluice/proto/events/event";
import { and, eq, lte } from "drizzle-orm";
import { execute, load } from "../context/execute.ts";
import { asSluice, type Context } from "../context/services.ts";
import { decideExpire, planEntity } from "./decide.ts";

/** Ends plans past their time, in which their servers could be heard. */
export async function sweepPlans(asked: Context): Promise<void> {
  const now = asked.clock.now().toISOString();
  const late = await asked.database.db
    .select({ plan: planTable.plan, at: planTable.at, expiresAt: planTable.expiresAt })
    .from(planTable)
    .where(and(eq(planTable.state, "running"), lte(planTable.expiresAt, now)));
  for (const { plan, at, expiresAt } of late) {
    const atMs = Date.parse(at);
    if (asked.listening.heardMs(atMs) < Date.parse(expiresAt) - atMs) continue;
    const stream = streamOf.plan(plan);
    const { state } = await load(asked, stream, planEntity);
    await execute(asSluice(asked, state.correlation), {
      stream,
      entity: planEntity,
      reason: "its deadline passed",
      keys: { policy: state.policy },
      decide: (current) => decideExpire(current, now),
    });
  }
}
