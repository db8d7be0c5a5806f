import type { FleetView } from "@sluice/proto/api/fleet";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { streamOf } from "@sluice/proto/events/event";
import { reconsider } from "../assignments/reconsider.ts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { allServers } from "../servers/targeted.ts";
import { decideFrozen, fleetEntity } from "./decide.ts";
import { showFleet } from "./show.ts";

/**
 * Ends a freeze, and catches up with what servers reported of themselves meanwhile. Thawed already: catches up again, for
 * who was cut short.
 */
export async function thawFleet(ctx: Context, { reason }: { reason: string }): Promise<FleetView> {
  await execute(ctx, {
    stream: streamOf.fleet(),
    entity: fleetEntity,
    reason,
    decide: (state) => decideFrozen(state, false),
  });
  const servers = await allServers(ctx);
  await sideBySide(servers, 8, ({ server }) =>
    reconsider(ctx, server, { after: "facts", reason: "thawed: its facts or labels may have changed" }),
  );
  return await showFleet(ctx);
}
