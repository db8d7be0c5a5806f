import type { Problem } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { Facts } from "@sluice/proto/manifest/facts";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { isFrozen } from "../fleet/frozen.ts";
import { isOverdue } from "../rollouts/progress.ts";
import { assignedTo, serverEntity } from "../servers/state.ts";
import { compileFor } from "./compile-for.ts";
import { decideAnew } from "./decide.ts";
import { standings } from "./ls.ts";

export type Reconsidered =
  | { kind: "same" }
  | { kind: "frozen" }
  /** for the outcome of a generation that is under way; with it, it is reconsidered again */
  | { kind: "waits"; generation: number }
  | { kind: "decided"; generation: number }
  | { kind: "refused"; problems: readonly Problem[] };

export interface Occasion {
  /** `outcome`: a generation has one, and what waited for it is made up for */
  after: "facts" | "labels" | "outcome";
  reason: string;
  /** instead of those stored */
  facts?: Facts | undefined;
}

/**
 * Makes what a server holds anew after its facts or labels changed. Only where its manifest comes out different is it
 * told anything, and not while a generation is under way. What can't be made anew changes nothing: the server keeps what
 * it holds.
 */
export async function reconsider(ctx: Context, server: string, occasion: Occasion): Promise<Reconsidered> {
  const { after, reason, facts } = occasion;
  if (await isFrozen(ctx)) return { kind: "frozen" };
  const hadItsTime = await newestHadItsTime(ctx, server);
  let kept: Reconsidered = { kind: "same" };
  const { events, state } = await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    async decide(state) {
      kept = { kind: "same" };
      const assigned = assignedTo(state);
      if (assigned.length === 0) return [];
      const compiled = await compileFor(ctx, { server, labels: state.labels, assigned, facts });
      if (!compiled.ok) {
        kept = { kind: "refused", problems: compiled.problems };
        return [];
      }
      const { digest: manifest, factsDigest } = compiled;
      const made = { assigned, manifest, factsDigest, epoch: ctx.epoch };
      const anew = decideAnew(state, { ...made, after, hadItsTime: hadItsTime(state.newest) });
      if (anew.kind === "decided") return anew.events;
      kept = anew;
      return [];
    },
  });
  return events.length === 0 ? kept : { kind: "decided", generation: state.newest?.generation ?? 0 };
}

/** Told of a generation now; one that was decided since has all its time before it. */
async function newestHadItsTime(ctx: Context, server: string) {
  const newest = (await standings(ctx, server)).get(server)?.newest;
  const late = newest !== undefined && newest.outcome === null && (await isOverdue(ctx, newest));
  return (now: { generation: number } | undefined) => late && now?.generation === newest.generation;
}
