import type { ServerView } from "@sluice/proto/api/servers";
import { standings, viewAssignment } from "../assignments/ls.ts";
import { isInLog, type Seen } from "../audit/witnesses.ts";
import type { Context } from "../context/services.ts";
import { factsOf } from "./facts.ts";
import { findServer } from "./find.ts";
import { currentDrift, viewServerRow } from "./ls.ts";

export async function showServer(ctx: Context, { server }: { server: string }): Promise<ServerView> {
  const row = await findServer(ctx, server);
  const [standing, drift, facts] = await Promise.all([
    standings(ctx, server).then((all) => all.get(server)),
    currentDrift(ctx, server).then((all) => all.get(server)),
    factsOf(ctx, server),
  ]);
  const view = viewServerRow(ctx, row, standing, drift);
  const refusal = view.state === "failed" ? standing?.newest.refusal : undefined;
  const pulse = ctx.pulses.of(server)?.pulse;
  const seen = ctx.witnesses.of(server);
  return {
    ...view,
    addedAt: row.addedAt,
    ...(row.enrolledAt !== null && { enrolledAt: row.enrolledAt }),
    ...(facts && { facts: facts.facts, factsAt: facts.at }),
    ...(standing && { assignment: viewAssignment(standing) }),
    drift: drift?.differences ?? [],
    lists: pulse?.lists ?? {},
    ...(pulse?.fill && { fill: pulse.fill }),
    ...(seen && { witness: await viewSeen(ctx, seen) }),
    ...(refusal && { failure: { step: refusal.step, reason: refusal.reason } }),
  };
}

async function viewSeen(
  { database }: Context,
  { checkpoint, at }: Seen,
): Promise<NonNullable<ServerView["witness"]>> {
  const { epoch, seq } = checkpoint;
  return { epoch, seq, at, holds: await isInLog(database.db, checkpoint) };
}
