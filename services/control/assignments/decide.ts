import { canonicalJson } from "@sluice/proto/base/canonical";
import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import type { ApplyStats, OutcomeResult, Refusal, TakenOver } from "@sluice/proto/wire/report";
import type { Assigned, ServerState } from "../servers/state.ts";
import { assignedTo } from "../servers/state.ts";

type Cause = EventData<"AssignmentDecided">["cause"];

export interface Wanted {
  assigned: Assigned;
  manifest: string;
  factsDigest: string;
  epoch: number;
  cause: Cause;
  rollout?: string | undefined;
}

/** The next generation of a server. Nothing where it is to hold exactly this already. */
export function decideAssignment(state: ServerState, wanted: Wanted): SluiceEvent[] {
  const { newest, server } = state;
  const { assigned, manifest, factsDigest, epoch, cause, rollout } = wanted;
  if (newest?.manifest === manifest && sameAssigned(newest.assigned, assigned) && newest.rollout === rollout)
    return [];
  const generation = (newest?.generation ?? 0) + 1;
  return [
    {
      type: "AssignmentDecided",
      data: {
        server,
        epoch,
        generation,
        assigned,
        manifest,
        factsDigest,
        cause,
        ...(rollout && { rollout }),
      },
    },
  ];
}

export type Anew = { kind: "decided"; events: SluiceEvent[] } | { kind: "waits"; generation: number };

/**
 * The same assignment, made anew after facts or labels changed. A generation that is under way comes to its end first: a
 * newer one would have it undone and done again. Not so one that `hadItsTime`, from which nothing may ever be heard.
 * After an outcome, which may be that of what was made anew, the manifest that failed last isn't tried again.
 */
export function decideAnew(
  state: ServerState,
  {
    after,
    hadItsTime,
    ...made
  }: Omit<Wanted, "cause" | "rollout"> & { after: "facts" | "labels" | "outcome"; hadItsTime: boolean },
): Anew {
  const { newest, failed } = state;
  if (made.manifest === newest?.manifest || (after === "outcome" && made.manifest === failed))
    return { kind: "decided", events: [] };
  if (newest !== undefined && newest.outcome === undefined && !hadItsTime)
    return { kind: "waits", generation: newest.generation };
  const changed = made.factsDigest === newest?.factsDigest ? "labels" : "facts";
  const cause = after === "outcome" ? changed : after;
  return {
    kind: "decided",
    events: decideAssignment(state, { ...made, cause, rollout: rolloutUnderWay(state) }),
  };
}

/**
 * After a server refused or undid a generation, what it is assigned must be what it holds again: its last confirmed
 * content, as the next generation. Nothing where it was told something newer meanwhile, or where the content that
 * failed is the one it is said to hold (that would go on for ever).
 */
export function decideRevert(
  state: ServerState,
  {
    failed,
    epoch,
    empty,
  }: { failed: number; epoch: number; empty: Pick<Wanted, "manifest" | "factsDigest"> },
): SluiceEvent[] {
  const { newest, held } = state;
  if (newest === undefined || newest.generation !== failed) return [];
  const { assigned, manifest, factsDigest } = held ?? { assigned: [], ...empty };
  if (newest.manifest === manifest) return [];
  return decideAssignment(state, { assigned, manifest, factsDigest, epoch, cause: "revert" });
}

export interface Outcome {
  epoch: number;
  generation: number;
  digest: string;
  result: OutcomeResult;
  refusal?: Refusal | undefined;
  stats?: ApplyStats | undefined;
  taken?: TakenOver[] | undefined;
}

/**
 * What came of a generation, as the server tells it. The first word counts, but for one case: what was confirmed may be
 * reverted later by somebody on the server itself. A word about nothing we know is ignored.
 */
export function decideOutcome(state: ServerState, outcome: Outcome): SluiceEvent[] {
  const { server } = state;
  const { generation, digest: manifest, result, stats, taken } = outcome;
  const held = result === "reverted" && state.held?.generation === generation ? state.held : undefined;
  const told = state.open.find((open) => open.generation === generation) ?? held;
  if (told === undefined) return [];
  if (told.epoch !== outcome.epoch || told.manifest !== manifest) {
    const what = `outcome of generation ${generation}`;
    const reason = `it speaks of epoch ${outcome.epoch} and manifest ${manifest}, which isn't what it was told`;
    return [{ type: "MessageRejected", data: { server, what, reason } }];
  }
  const base = { server, generation, manifest, ...(told.rollout && { rollout: told.rollout }) };
  const refusal = outcome.refusal ?? { step: "take" as const, reason: "the server gave no reason" };
  switch (result) {
    case "confirmed":
      return [
        { type: "ServerConfirmed", data: { ...base, ...(stats && { stats }), ...(taken && { taken }) } },
      ];
    case "refused":
      return [{ type: "ServerRefused", data: { ...base, refusal } }];
    case "reverted":
      return [{ type: "ServerReverted", data: { ...base, refusal } }];
  }
}

/** The rollout that a server still owes an outcome to: whatever it is told meanwhile goes on under it. */
function rolloutUnderWay({ newest }: ServerState): string | undefined {
  return newest?.outcome === undefined ? newest?.rollout : undefined;
}

/** The assignment with one policy at another revision, or without it (revision 0); sorted by policy. */
export function withPolicy(state: ServerState, policy: string, revision: number): Assigned {
  const others = assignedTo(state).filter((one) => one.policy !== policy);
  const all = revision === 0 ? others : [...others, { policy, revision }];
  return all.sort((a, b) => (a.policy < b.policy ? -1 : 1));
}

/** The revision of a policy that a server is assigned; 0 for none. */
export function revisionOf(assigned: Assigned, policy: string): number {
  return assigned.find((one) => one.policy === policy)?.revision ?? 0;
}

function sameAssigned(a: Assigned, b: Assigned): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
