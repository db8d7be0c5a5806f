import { streamOf } from "@sluice/proto/events/event";
import { EMPTY_MANIFEST } from "@sluice/proto/manifest/manifest";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { serverEntity } from "../servers/state.ts";
import { decideRevert } from "./decide.ts";
import { keepManifest, NOTHING } from "./manifests.ts";

/** Assigns a server what it held before a generation that it didn't take, so that what it is to hold is what it holds. */
export async function revertAssignment(
  ctx: Context,
  {
    server,
    failed,
    rollout,
    reason,
  }: { server: string; failed: number; rollout?: string | undefined; reason: string },
): Promise<void> {
  await keepManifest(ctx, EMPTY_MANIFEST);
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    keys: { rollout },
    decide: (state) => decideRevert(state, { failed, epoch: ctx.epoch, empty: NOTHING }),
  });
}
