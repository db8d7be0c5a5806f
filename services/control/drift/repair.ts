import type { RepairDriftView } from "@sluice/proto/api/drift";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { mustExist } from "../servers/decide.ts";
import { serverEntity } from "../servers/state.ts";

const REPAIR_TIMEOUT_MS = 30_000;

/** Asks a server to mend what differs, now. That it was asked is recorded; what came of it, the server reports. */
export async function repairDrift(
  ctx: Context,
  { server, reason }: { server: string; reason: string },
): Promise<RepairDriftView> {
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    decide(state) {
      mustExist(state, server);
      const { pausedUntil } = state;
      if (pausedUntil !== undefined && pausedUntil > ctx.clock.now().toISOString())
        throw new SluiceError("REFUSED", `${server} is paused until ${pausedUntil}`, {
          cure: "wait, or end the pause on the server itself: sluice-agent resume",
        });
      return [{ type: "DriftRepairAsked", data: { server } }];
    },
  });
  const reply = await ctx.link.ask(server, { what: "drift", repair: true }, REPAIR_TIMEOUT_MS);
  if (!reply.ok) {
    throw new SluiceError("UNAVAILABLE", `${server} was not repaired: ${reply.reason}`, {
      cure: "see that its agent runs and is connected, then ask again",
    });
  }
  return { server, repaired: reply.repaired, differences: reply.differences };
}
