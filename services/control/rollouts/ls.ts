import type { assignmentTable } from "@sluice/db/schema/assignments";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { listRolloutsInput, RolloutRowView } from "@sluice/proto/api/rollouts";
import { and, desc, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { toldUnder } from "./progress.ts";

type Told = typeof assignmentTable.$inferSelect;

/** Newest first. */
export async function listRollouts(
  ctx: Context,
  { policy, state, limit }: z.output<typeof listRolloutsInput>,
): Promise<RolloutRowView[]> {
  const rows = await ctx.database.db
    .select()
    .from(rolloutTable)
    .where(
      and(
        policy === undefined ? undefined : eq(rolloutTable.policy, policy),
        state === undefined ? undefined : eq(rolloutTable.state, state),
      ),
    )
    .orderBy(desc(rolloutTable.at))
    .limit(limit);
  return await Promise.all(rows.map(async (row) => viewRow(row, await toldUnder(ctx, row.rollout))));
}

export function viewRow(
  row: typeof rolloutTable.$inferSelect,
  told: ReadonlyMap<string, Told>,
): RolloutRowView {
  const { rollout, kind, policy, revision, state, wave, waves, haltedBecause, at, actor, reason } = row;
  const outcomes = [...told.values()].map(({ outcome }) => outcome);
  return {
    ...{ rollout, kind, policy, revision, state, haltedBecause, wave },
    waves: waves.length,
    servers: waves.flat().length,
    confirmed: outcomes.filter((outcome) => outcome === "confirmed").length,
    failed: outcomes.filter((outcome) => outcome === "refused" || outcome === "reverted").length,
    started: { at, actor, reason },
    ...(row.byHandMs !== null && { byHandMs: row.byHandMs }),
    ...(row.endedAt !== null && { endedAt: row.endedAt }),
  };
}
