import type { Problem } from "@sluice/proto/base/errors";
import { type EventData, streamOf } from "@sluice/proto/events/event";
import type { Facts } from "@sluice/proto/manifest/facts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { isFrozen } from "../fleet/frozen.ts";
import { assignedTo, serverEntity } from "../servers/state.ts";
import { compileFor } from "./compile-for.ts";
import { decideAssignment, rolloutUnderWay } from "./decide.ts";

export type Reconsidered =
  | { kind: "same" }
  | { kind: "frozen" }
  | { kind: "decided"; generation: number }
  | { kind: "refused"; problems: readonly Problem[] };

/**
 * Makes what a server holds anew after its facts or labels changed. Only where its manifest comes out different is it
 * told anything. What can't be made anew changes nothing: the server keeps what it holds.
 */
export async function reconsider(
  ctx: Context,
  server: string,
  {
    cause,
    reason,
    facts,
  }: { cause: EventData<"AssignmentDecided">["cause"]; reason: string; facts?: Facts | undefined },
): Promise<Reconsidered> {
  if (await isFrozen(ctx)) return { kind: "frozen" };
  let problems: readonly Problem[] | undefined;
  const { events, state } = await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    async decide(state) {
      problems = undefined;
      const assigned = assignedTo(state);
      if (assigned.length === 0) return [];
      const compiled = await compileFor(ctx, { server, labels: state.labels, assigned, facts });
      if (!compiled.ok) {
        problems = compiled.problems;
        return [];
      }
      const { digest: manifest, factsDigest } = compiled;
      if (manifest === state.newest?.manifest) return [];
      const rollout = rolloutUnderWay(state);
      return decideAssignment(state, { assigned, manifest, factsDigest, epoch: ctx.epoch, cause, rollout });
    },
  });
  if (problems !== undefined) return { kind: "refused", problems };
  return events.length === 0
    ? { kind: "same" }
    : { kind: "decided", generation: state.newest?.generation ?? 0 };
}
