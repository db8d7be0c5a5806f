import type { EventData } from "@sluice/proto/events/event";
import type { OutcomeResult } from "@sluice/proto/wire/report";
import type { Entity, Seen, SeenEvent } from "../context/entity.ts";

/** One generation: what a server is to hold as a whole. */
export type Generation = EventData<"AssignmentDecided">;
export type Assigned = Generation["assigned"];

/** One server, as its stream tells it. */
export interface ServerState {
  server: string;
  added: boolean;
  labels: Readonly<Record<string, string>>;
  tokenHash: string;
  enrolled?: { publicKey: string; natsKey: string } | undefined;
  pausedUntil?: string | undefined;
  /** nothing of ours is in its kernel, and no agent runs there */
  uninstalled: boolean;
  /** the newest generation: what it is to hold */
  newest?: (Generation & { outcome?: OutcomeResult | undefined }) | undefined;
  /** what it has proven to hold; absent: nothing of ours */
  held?: Generation | undefined;
  /** what it held before that: where a revert on the server itself leads */
  heldBefore?: Generation | undefined;
  /** the manifest that it refused or undid last */
  failed?: string | undefined;
  /** generations without an outcome, oldest first */
  open: readonly Generation[];
  drift?: { at: string; seq: number; fingerprint: string } | undefined;
}

export const serverEntity: Entity<ServerState> = {
  initial: { server: "", added: false, labels: {}, tokenHash: "", uninstalled: false, open: [] },
  evolve,
};

/** What a server is assigned now. */
export function assignedTo(state: ServerState): Assigned {
  return state.newest?.assigned ?? [];
}

function evolve(state: ServerState, event: SeenEvent): ServerState {
  switch (event.type) {
    case "ServerAdded": {
      const { server, labels, tokenHash } = event.data;
      return { ...state, server, added: true, labels, tokenHash, enrolled: undefined };
    }
    case "ServerEnrolled": {
      const { publicKey, natsKey } = event.data;
      return { ...state, enrolled: { publicKey, natsKey }, uninstalled: false };
    }
    case "ServerUninstalled":
      return { ...state, uninstalled: true, pausedUntil: undefined, held: undefined, heldBefore: undefined };
    case "ServerLabelled":
      return { ...state, labels: relabel(state.labels, event.data) };
    case "AssignmentDecided":
      return { ...state, newest: event.data, open: [...state.open, event.data] };
    case "ServerConfirmed":
      return confirmed(state, event.data.generation);
    case "ServerRefused":
      return failed(state, event.data, "refused");
    case "ServerReverted":
      return failed(state, event.data, "reverted");
    case "ServerPaused":
      return { ...state, pausedUntil: event.data.until };
    case "ServerResumed":
      return { ...state, pausedUntil: undefined };
    case "DriftDetected":
      return { ...state, drift: seenDrift(event) };
    default:
      return state;
  }
}

export function relabel(
  labels: Readonly<Record<string, string>>,
  { set, unset }: { set: Readonly<Record<string, string>>; unset: readonly string[] },
): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...labels, ...set }).filter(([key]) => !unset.includes(key)));
}

/** Who holds a generation has left those before it behind: they have no outcome of their own any more. */
function confirmed(state: ServerState, generation: number): ServerState {
  const found = state.open.find((open) => open.generation === generation);
  const open = state.open.filter((other) => other.generation > generation);
  const now = found === undefined ? {} : { held: found, heldBefore: state.held };
  return { ...state, ...withOutcome(state, generation, "confirmed"), ...now, open };
}

function failed(
  state: ServerState,
  { generation, manifest }: Pick<Generation, "generation" | "manifest">,
  outcome: OutcomeResult,
): ServerState {
  const open = state.open.filter((other) => other.generation !== generation);
  const gone = state.held?.generation === generation ? { held: state.heldBefore, heldBefore: undefined } : {};
  return { ...state, ...withOutcome(state, generation, outcome), ...gone, open, failed: manifest };
}

function withOutcome({ newest }: ServerState, generation: number, outcome: OutcomeResult) {
  return newest?.generation === generation ? { newest: { ...newest, outcome } } : {};
}

function seenDrift({ data, seq, meta }: Seen<"DriftDetected">) {
  return { at: meta.at, seq, fingerprint: driftFingerprint(data) };
}

/** Two drifts of the same objects, mended or not in the same way, are the same drift. */
export function driftFingerprint({
  differences,
  action,
}: Pick<EventData<"DriftDetected">, "differences" | "action">): string {
  return [action, ...differences.map(({ object, kind }) => `${object} ${kind}`).sort()].join("\n");
}
