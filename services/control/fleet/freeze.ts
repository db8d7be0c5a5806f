import type { FleetView } from "@sluice/proto/api/fleet";
import { streamOf } from "@sluice/proto/events/event";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideFrozen, fleetEntity } from "./decide.ts";
import { showFleet } from "./show.ts";

/** From now on no rollout starts; those that run halt before their next wave. */
export async function freezeFleet(ctx: Context, { reason }: { reason: string }): Promise<FleetView> {
  await execute(ctx, {
    stream: streamOf.fleet(),
    entity: fleetEntity,
    reason,
    decide: (state) => decideFrozen(state, true),
  });
  return await showFleet(ctx);
}
