import { streamOf } from "@sluice/proto/events/event";
import type { Report, Uninstalled } from "@sluice/proto/wire/report";
import { NOTHING } from "../assignments/manifests.ts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { resumeRollouts } from "../rollouts/sweep.ts";
import { decideUninstalled } from "./decide.ts";
import { serverEntity } from "./state.ts";

/** Somebody took Sluice out of the server: a rollout that waits for it goes on by that. */
export async function recordUninstalled(
  ctx: Context,
  { server, id }: Report,
  { at, by }: Uninstalled,
): Promise<void> {
  await execute(
    { ...ctx, actor: by === undefined ? ctx.actor : `${by}@${server}` },
    {
      stream: streamOf.server(server),
      entity: serverEntity,
      reason: "uninstalled",
      seed: `${server}/${id}`,
      decide: (state) => decideUninstalled(state, { at, by, epoch: ctx.epoch, empty: NOTHING }),
    },
  );
  await resumeRollouts(ctx);
}
