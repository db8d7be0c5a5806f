import { rolloutTable } from "@sluice/db/schema/rollouts";
import { eq, inArray } from "drizzle-orm";
import { revertAssignment } from "../assignments/revert.ts";
import type { Context } from "../context/services.ts";
import { advanceRollout } from "./advance.ts";
import { overdueServers } from "./progress.ts";

/** Takes up again whatever was running when control stopped. */
export async function resumeRollouts(ctx: Context): Promise<void> {
  const running = await ctx.database.db
    .select({ rollout: rolloutTable.rollout })
    .from(rolloutTable)
    .where(eq(rolloutTable.state, "running"));
  for (const { rollout } of running) await advanceRollout(ctx, rollout);
}

/**
 * Looks for servers whose time is up. A running rollout halts. In one that has halted, they are assigned their old
 * content again, so that a server that comes back doesn't take up what was halted; not so in a rollback, which a
 * server is to take up whenever it comes back.
 */
export async function sweepRollouts(ctx: Context): Promise<void> {
  const overdue = await overdueServers(ctx);
  const ids = [...new Set(overdue.flatMap(({ rollout }) => rollout ?? []))];
  if (ids.length === 0) return;
  for (const rollout of ids) await advanceRollout(ctx, rollout);
  const halted = await ctx.database.db.select().from(rolloutTable).where(inArray(rolloutTable.rollout, ids));
  for (const { server, generation, rollout } of overdue) {
    const its = halted.find((row) => row.rollout === rollout);
    if (rollout === null || its?.state !== "halted" || its.kind === "rollback") continue;
    const reason = `${server} was silent when ${rollout} halted`;
    await revertAssignment(ctx, { server, failed: generation, rollout, reason });
  }
}
