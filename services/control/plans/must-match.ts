import { SluiceError } from "@sluice/proto/base/errors";
import type { Context } from "../context/services.ts";
import { showPlan } from "./show.ts";

/**
 * A plan stands for a rollout only if every server of the rollout answered ok, for exactly the manifest that it would
 * be told now: what has changed since (facts, labels, lists, other policies) asks for a new plan.
 */
export async function mustMatchPlan(
  ctx: Context,
  plan: string,
  { policy, revision, compiled }: { policy: string; revision: number; compiled: ReadonlyMap<string, string> },
): Promise<void> {
  const view = await showPlan(ctx, { plan });
  if (view.policy !== policy || view.revision !== revision) {
    const of = view.revision === undefined ? "a text that isn't stored" : `revision ${view.revision}`;
    throw stale(plan, `it is of ${view.policy}, ${of}`);
  }
  if (view.state === "running") throw stale(plan, "not all of its servers have answered yet");
  const answers = new Map(view.answers.map((answer) => [answer.server, answer]));
  for (const [server, manifest] of compiled) {
    const answer = answers.get(server);
    if (answer?.state !== "ok") throw stale(plan, `${server} didn't answer ok`);
    if (answer.manifest !== manifest) throw stale(plan, `what ${server} would hold is different now`);
  }
}

function stale(plan: string, why: string): SluiceError {
  return new SluiceError("REFUSED", `plan ${plan} doesn't stand for this rollout: ${why}`, {
    cure: "plan again",
  });
}
