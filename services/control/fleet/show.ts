import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { FleetView } from "@sluice/proto/api/fleet";
import { asc, eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";
import { isConnected } from "../servers/ls.ts";
import { allServers } from "../servers/targeted.ts";
import { fleetRow } from "./frozen.ts";

export async function showFleet(ctx: Context): Promise<FleetView> {
  const [row, servers, running] = await Promise.all([
    fleetRow(ctx),
    allServers(ctx),
    ctx.database.db
      .select({ rollout: rolloutTable.rollout })
      .from(rolloutTable)
      .where(eq(rolloutTable.state, "running"))
      .orderBy(asc(rolloutTable.at)),
  ]);
  return {
    frozen: row?.frozen ?? false,
    ...(row && { decided: { at: row.at, actor: row.actor, reason: row.reason } }),
    servers: servers.length,
    connected: servers.filter(({ server }) => isConnected(ctx, server)).length,
    runningRollouts: running.map(({ rollout }) => rollout),
  };
}
