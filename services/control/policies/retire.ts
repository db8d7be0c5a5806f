import type { RetirePolicyView } from "@sluice/proto/api/policies";
import { streamOf } from "@sluice/proto/events/event";
import { holdersOf } from "../assignments/ls.ts";
import { exclusively } from "../context/exclusively.ts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideRetire, policyEntity } from "./decide.ts";
import { mustSayWhyOf } from "./must-say-why.ts";

/** Retires a policy that no server is assigned. Stands in line with rollouts, so that none starts meanwhile. */
export async function retirePolicy(
  ctx: Context,
  { policy, reason }: { policy: string; reason: string },
): Promise<RetirePolicyView> {
  await mustSayWhyOf(ctx, policy, reason);
  return await exclusively(ctx, "rollouts", async () => {
    const holders = (await holdersOf(ctx, policy)).map(({ server }) => server);
    const { state } = await execute(ctx, {
      stream: streamOf.policy(policy),
      entity: policyEntity,
      reason,
      decide: (before) => decideRetire(before, { policy, holders }),
    });
    return { policy, revision: state.revision };
  });
}
