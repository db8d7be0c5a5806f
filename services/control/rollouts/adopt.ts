import type { adoptInput, RolloutView } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { applyPolicies } from "../policies/revise.ts";
import { showPolicy } from "../policies/show.ts";
import { startRollout } from "./start.ts";

const MODE = /^mode:[ \t]*(["']?)imported\1/m;

/**
 * What an imported policy says becomes Sluice's on its servers: a revision that is the same in `mode: enforce`, and its
 * rollout. Ours stand before what they take over goes.
 */
export async function adoptPolicy(
  ctx: Context,
  { policy, reason, ...rollout }: z.output<typeof adoptInput>,
): Promise<RolloutView> {
  const { text, revision } = await showPolicy(ctx, { policy });
  const adopted = text.replace(MODE, "mode: enforce");
  if (adopted === text)
    throw new SluiceError("REFUSED", `revision ${revision} of ${policy} isn't \`mode: imported\``, {
      cure: `to roll it out as it is: sluice rollout start ${policy}`,
    });
  const files = [{ name: `${policy}.yaml`, text: adopted }];
  await applyPolicies(ctx, { files, prune: false, dryRun: false, reason });
  return await startRollout(ctx, { policy, reason, remove: false, ...rollout });
}
