import { serverTable } from "@sluice/db/schema/servers";
import type { ServerView } from "@sluice/proto/api/servers";
import { SluiceError } from "@sluice/proto/base/errors";
import { eq } from "drizzle-orm";
import { standings, viewAssignment } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { currentDrift, viewServerRow } from "./ls.ts";
import { factsOf } from "./record-facts.ts";

export async function showServer(ctx: Context, { server }: { server: string }): Promise<ServerView> {
  const [row] = await ctx.database.db.select().from(serverTable).where(eq(serverTable.server, server));
  if (!row) throw new SluiceError("NOT_FOUND", `there is no server ${server}`);
  const [standing, drift, facts] = await Promise.all([
    standings(ctx, server).then((all) => all.get(server)),
    currentDrift(ctx, server).then((all) => all.get(server)),
    factsOf(ctx, server),
  ]);
  const view = viewServerRow(ctx, row, standing, drift);
  const refusal = view.state === "failed" ? standing?.newest.refusal : undefined;
  return {
    ...view,
    addedAt: row.addedAt,
    ...(row.enrolledAt !== null && { enrolledAt: row.enrolledAt }),
    ...(facts && { facts: facts.facts, factsAt: facts.at }),
    ...(standing && { assignment: viewAssignment(standing) }),
    drift: drift?.differences ?? [],
    lists: ctx.pulses.of(server)?.pulse.lists ?? {},
    ...(refusal && { failure: { step: refusal.step, reason: refusal.reason } }),
  };
}
