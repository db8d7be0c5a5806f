import { driftRepeatTable, driftTable } from "@sluice/db/schema/drift";
import type { DriftView, listDriftInput } from "@sluice/proto/api/drift";
import { and, desc, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { currentDrift } from "../servers/ls.ts";

/** Newest first: what differs now, or all there was. */
export async function listDrift(
  ctx: Context,
  { server, all, limit }: z.output<typeof listDriftInput>,
): Promise<DriftView[]> {
  const current = await currentDrift(ctx, server);
  const currentSeqs = [...current.values()].map(({ seq }) => seq);
  const rows = await ctx.database.db
    .select({ drift: driftTable, count: driftRepeatTable.count })
    .from(driftTable)
    .leftJoin(driftRepeatTable, eq(driftRepeatTable.seq, driftTable.seq))
    .where(
      and(
        server === undefined ? undefined : eq(driftTable.server, server),
        all ? undefined : inArray(driftTable.seq, [0, ...currentSeqs]),
      ),
    )
    .orderBy(desc(driftTable.seq))
    .limit(limit);
  return rows.map(({ drift, count }) => viewDrift(drift, count ?? 1, currentSeqs.includes(drift.seq)));
}

function viewDrift(row: typeof driftTable.$inferSelect, count: number, current: boolean): DriftView {
  const { server, at, generation, differences, culprit, action, reason, detectedMs, repairedMs } = row;
  return {
    ...{ server, at, generation, differences, action, count, current },
    ...(culprit && { by: culprit }),
    ...(reason !== null && { reason }),
    ...(detectedMs !== null && { detectedMs }),
    ...(repairedMs !== null && { repairedMs }),
  };
}
