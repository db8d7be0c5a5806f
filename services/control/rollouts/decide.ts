import { SluiceError } from "@sluice/proto/base/errors";
import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import type { OutcomeResult } from "@sluice/proto/wire/report";
import type { Entity } from "../context/entity.ts";

/**
 * A rollout walks its waves one by one.
 *
 * 1. A wave begins only when every server of the wave before it has confirmed, and the fleet isn't frozen.
 * 2. The first server that refused, undid or stays silent halts it: no further wave begins, who confirmed keeps it.
 * 3. The step depends on nothing but what is stored and the time, so that it can be made again after any interruption.
 */
export interface RolloutState extends Omit<EventData<"RolloutStarted">, "rollout"> {
  rollout: string;
  correlation: string;
  /** counted from 1; 0 before the first */
  wave: number;
  ended: "no" | "completed" | "halted";
  /** servers that a person has confirm what they apply */
  confirmed: readonly string[];
}

export const rolloutEntity: Entity<RolloutState> = {
  initial: {
    rollout: "",
    kind: "rollout",
    policy: "",
    revision: 0,
    waves: [],
    before: {},
    correlation: "",
    wave: 0,
    ended: "no",
    confirmed: [],
  },
  evolve(state, event) {
    switch (event.type) {
      case "RolloutStarted":
        return { ...state, ...event.data, correlation: event.meta.correlation };
      case "RolloutConfirmed":
        return { ...state, confirmed: [...state.confirmed, ...event.data.servers] };
      case "WaveStarted":
        return { ...state, wave: event.data.wave };
      case "RolloutCompleted":
        return { ...state, ended: "completed" };
      case "RolloutHalted":
        return { ...state, ended: "halted" };
      default:
        return state;
    }
  },
};

/** What has come of a rollout on one server of its current wave. */
export interface Progress {
  server: string;
  /** it was assigned its new generation */
  told: boolean;
  outcome?: OutcomeResult | undefined;
  /** in the server's own words */
  because?: string | undefined;
  /** it had its time, and a grace beyond it */
  overdue: boolean;
}

export type Step =
  | { kind: "none" }
  /** everyone is told, and not everyone has answered */
  | { kind: "wait" }
  | { kind: "tell"; servers: readonly string[] }
  /** the next wave may begin, if all of its servers can be compiled */
  | { kind: "begin"; wave: number; servers: readonly string[] }
  | { kind: "end"; event: SluiceEvent };

export function nextStep(state: RolloutState, wave: readonly Progress[], frozen: boolean): Step {
  const { rollout } = state;
  if (state.rollout === "" || state.ended !== "no") return { kind: "none" };
  const failed = wave.find(({ outcome }) => outcome === "refused" || outcome === "reverted");
  if (failed)
    return halted(state, `${failed.server} ${failed.outcome}: ${failed.because ?? ""}`, failed.server);
  const silent = wave.find(({ outcome, overdue }) => outcome === undefined && overdue);
  if (silent) {
    return halted(state, `${silent.server} is silent: no outcome within its deadline`, silent.server);
  }
  const untold = wave.filter(({ told }) => !told).map(({ server }) => server);
  if (untold.length > 0) return { kind: "tell", servers: untold };
  if (wave.some(({ outcome }) => outcome === undefined)) return { kind: "wait" };
  const servers = state.waves[state.wave];
  if (servers === undefined) return { kind: "end", event: { type: "RolloutCompleted", data: { rollout } } };
  if (frozen) return halted(state, "the fleet is frozen");
  return { kind: "begin", wave: state.wave + 1, servers };
}

export function halted({ rollout }: RolloutState, reason: string, server?: string): Step {
  return {
    kind: "end",
    event: { type: "RolloutHalted", data: { rollout, reason, ...(server && { server }) } },
  };
}

/** An event of a step, unless somebody else has made that step meanwhile. */
export function decideStep(now: RolloutState, seen: RolloutState, event: SluiceEvent): SluiceEvent[] {
  return now.ended === "no" && now.wave === seen.wave ? [event] : [];
}

export function decideStart(state: RolloutState, started: EventData<"RolloutStarted">): SluiceEvent[] {
  if (state.rollout !== "")
    throw new SluiceError("CONFLICT", `there is a rollout ${started.rollout} already`);
  return [{ type: "RolloutStarted", data: started }];
}
