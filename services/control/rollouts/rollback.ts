import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { RolloutView, rollbackInput } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import { and, desc, eq } from "drizzle-orm";
import type { z } from "zod";
import { holdersOf } from "../assignments/ls.ts";
import { exclusively } from "../context/exclusively.ts";
import type { Context } from "../context/services.ts";
import { textOf } from "../policies/documents.ts";
import { findPolicy } from "../policies/find.ts";
import { allServers } from "../servers/targeted.ts";
import { advanceRollout } from "./advance.ts";
import { showRollout } from "./show.ts";
import { begin, mustNotBeFrozen, prepareMove } from "./start.ts";

/**
 * Puts one policy back to an earlier revision on all servers that have a later one, at once. Their other policies stay,
 * and so do servers that have an even earlier one: nothing goes forward by a rollback.
 */
export async function rollback(
  ctx: Context,
  { policy, to, reason }: z.output<typeof rollbackInput>,
): Promise<RolloutView> {
  const rollout = ctx.ids.short("r");
  await exclusively(ctx, "rollouts", async () => {
    await mustNotBeFrozen(ctx);
    await findPolicy(ctx, policy);
    const holders = await holdersOf(ctx, policy);
    if (holders.length === 0) throw new SluiceError("REFUSED", `no server has ${policy}`);
    const current = Math.max(...holders.map(({ revision }) => revision));
    const revision = to === "previous" ? await previousOf(ctx, policy, current) : to;
    await textOf(ctx, policy, revision);
    if (revision > current) {
      throw new SluiceError("REFUSED", `no server has a revision of ${policy} after ${revision}`, {
        cure: `to go forward to it: sluice rollout start ${policy} --revision ${revision}`,
      });
    }
    const names = new Set(holders.filter((one) => one.revision >= revision).map(({ server }) => server));
    const targets = (await allServers(ctx)).filter(({ server }) => names.has(server));
    const move = { policy, revision, kind: "rollback" as const };
    const { before } = await prepareMove(ctx, move, targets);
    await begin(ctx, { ...move, rollout, waves: [Object.keys(before)], before }, reason);
  });
  await advanceRollout(ctx, rollout);
  return await showRollout(ctx, { rollout });
}

/** What servers had before the newest rollout of the current revision; where they had none, the one before it. */
async function previousOf({ database }: Context, policy: string, current: number): Promise<number> {
  const [last] = await database.db
    .select({ before: rolloutTable.before })
    .from(rolloutTable)
    .where(and(eq(rolloutTable.policy, policy), eq(rolloutTable.revision, current)))
    .orderBy(desc(rolloutTable.at))
    .limit(1);
  const before = Object.values(last?.before ?? {}).filter((revision) => revision > 0 && revision < current);
  const previous = before.length > 0 ? Math.max(...before) : current - 1;
  if (previous >= 1) return previous;
  throw new SluiceError("REFUSED", `there is no revision of ${policy} before ${current}`, {
    cure: `to take it off its servers: sluice rollout start ${policy} --remove`,
  });
}
