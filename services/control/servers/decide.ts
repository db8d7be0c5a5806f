import { SluiceError } from "@sluice/proto/base/errors";
import type { SluiceEvent } from "@sluice/proto/events/event";
import type { Uninstalled } from "@sluice/proto/wire/report";
import { decideAssignment, type Wanted } from "../assignments/decide.ts";
import { assignedTo, relabel, type ServerState } from "./state.ts";

/** A new server, or a new token for one that is there (`again`). */
export function decideAdd(
  state: ServerState,
  command: { server: string; labels: Readonly<Record<string, string>>; tokenHash: string; again: boolean },
): SluiceEvent[] {
  const { server, tokenHash, again } = command;
  if (state.added && !again) {
    throw new SluiceError("REFUSED", `there is a server ${server} already`, {
      cure: "ask for a new token for it with --again",
    });
  }
  const labels = { ...state.labels, ...command.labels };
  return [{ type: "ServerAdded", data: { server, labels, tokenHash } }];
}

/** A token enrols one agent: the same agent may ask again (its answer may have been lost), another one may not. */
export function decideEnrol(
  state: ServerState,
  { publicKey, natsKey }: { publicKey: string; natsKey: string },
): SluiceEvent[] {
  const { server, enrolled } = state;
  if (enrolled === undefined) return [{ type: "ServerEnrolled", data: { server, publicKey, natsKey } }];
  if (enrolled.publicKey === publicKey && enrolled.natsKey === natsKey) return [];
  throw new SluiceError("REFUSED", `the token of ${server} has been used by another agent`, {
    cure: `add ${server} again for a new token`,
  });
}

/**
 * Nothing of ours is in its kernel any more, and its own word proves it: that is what it is assigned, and what it holds,
 * from now on. A change that it had not answered yet is undone with it.
 */
export function decideUninstalled(
  state: ServerState,
  { at, by, epoch, empty }: Uninstalled & { epoch: number; empty: Pick<Wanted, "manifest" | "factsDigest"> },
): SluiceEvent[] {
  const { server, newest, uninstalled } = state;
  if (uninstalled) return [];
  const events: SluiceEvent[] = [{ type: "ServerUninstalled", data: { server, at, ...(by && { by }) } }];
  if (newest === undefined) return events;
  if (newest.outcome === undefined) {
    const { generation, manifest, rollout } = newest;
    const refusal = { step: "confirm" as const, reason: "uninstalled on the server itself" };
    const undone = { server, generation, manifest, ...(rollout && { rollout }), refusal };
    events.unshift({ type: "ServerReverted", data: undone });
  }
  if (assignedTo(state).length === 0 && newest.outcome === "confirmed") return events;
  const nothing = decideAssignment(state, { assigned: [], ...empty, epoch, cause: "revert" });
  if (nothing.length === 0) return events; // it is told so already, and may have undone it
  const generation = newest.generation + 1;
  return [
    ...events,
    ...nothing,
    { type: "ServerConfirmed", data: { server, generation, manifest: empty.manifest } },
  ];
}

export function decideLabel(
  state: ServerState,
  change: { set: Readonly<Record<string, string>>; unset: readonly string[] },
): SluiceEvent[] {
  const { server, labels } = state;
  const wanted = relabel(labels, change);
  const set = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => labels[key] !== value));
  const unset = Object.keys(labels).filter((key) => !Object.hasOwn(wanted, key));
  if (Object.keys(set).length === 0 && unset.length === 0) return [];
  return [{ type: "ServerLabelled", data: { server, set, unset } }];
}

export function decidePause(state: ServerState, until: string | undefined): SluiceEvent[] {
  const { server, pausedUntil } = state;
  if (until === pausedUntil) return [];
  return until === undefined
    ? [{ type: "ServerResumed", data: { server } }]
    : [{ type: "ServerPaused", data: { server, until } }];
}

/** Throws NOT_FOUND for a server that was never added. */
export function mustExist(state: ServerState, server: string): void {
  if (!state.added) throw new SluiceError("NOT_FOUND", `there is no server ${server}`);
}
