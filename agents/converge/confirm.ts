import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { ConfirmRequest } from "@sluice/proto/wire/envelope";
import { jittered } from "../link/backoff.ts";
import type { Deadline } from "./deadline.ts";
import { parseEndpoint } from "./dial.ts";
import type { ConvergeParts, Issued } from "./parts.ts";

const PATH_TIMEOUT_MS = 5_000;
/** Longer than control dials `reach`: a shorter try would never hear its no. */
const TRY_MIN_MS = 2_500;
const TRY_MAX_MS = 10_000;
const PAUSE_MS = 200;
const DIAL_MS = 1_000;
/** Between two asks of a change that waits for a person. */
const BY_HAND_PAUSE_MS = 2_000;
/** More than control gives the person: an answer at the last moment is heard. */
const BY_HAND_SLACK_MS = 3 * BY_HAND_PAUSE_MS;

/** Before the first write: can control be asked at all? A reason why not: the change waits. */
export async function isPathUp(parts: ConvergeParts, issued: Issued): Promise<string | undefined> {
  try {
    const reply = await parts.confirm(requestOf(parts, issued, "preflight"), PATH_TIMEOUT_MS);
    return reply.ok ? undefined : reply.reason;
  } catch (error) {
    return `control can't be asked: ${messageOf(error)}`;
  }
}

/**
 * Asks control, over a new connection each time, until it answers or the time is over. Control's no is final. Where its
 * endpoints still take connections and only the service is silent, the change isn't to blame: the deadline is moved
 * once. A change that a person confirms has the person's time from when control would say yes, and is asked for on: what
 * breaks meanwhile is found. Throws with the reason when there is no yes.
 */
export async function confirm(parts: ConvergeParts, issued: Issued, deadline: Deadline): Promise<void> {
  const request = requestOf(parts, issued, "confirm");
  const { byHandMs } = issued;
  let isByHand = false;
  let isMoved = false;
  for (;;) {
    // the last look at control's endpoints is within the time, too
    const lastAskMs = deadline.untilMs() - DIAL_MS;
    let reason: string;
    try {
      const reply = await parts.confirm(request, tryMs(lastAskMs - parts.clock.nowMs()));
      if (reply.ok) return;
      if (reply.waits !== true || byHandMs === undefined) throw new ConfirmRefused(reply.reason);
      if (!isByHand) await deadline.restart(byHandMs + BY_HAND_SLACK_MS);
      isByHand = true;
      reason = "nobody confirmed it by hand in time";
    } catch (error) {
      if (error instanceof ConfirmRefused) throw error;
      reason = `control could not be asked after the change: ${messageOf(error)}`;
    }
    const pauseMs = isByHand ? jittered(BY_HAND_PAUSE_MS) : PAUSE_MS;
    if (parts.clock.nowMs() + pauseMs < deadline.untilMs() - DIAL_MS) {
      await delay(pauseMs);
    } else if (!isByHand && !isMoved && (await takesConnections(parts))) {
      isMoved = true;
      await deadline.restart(issued.manifest.deadlineMs);
      parts.log("control takes connections and doesn't answer: the deadline is moved once");
    } else {
      throw new Error(reason);
    }
  }
}

function tryMs(leftMs: number): number {
  const wanted = Math.max(TRY_MIN_MS, Math.min(TRY_MAX_MS, leftMs / 3));
  return Math.max(PAUSE_MS, Math.min(leftMs, wanted));
}

class ConfirmRefused extends Error {
  constructor(reason: string) {
    super(`control did not confirm: ${reason}`);
    this.name = "ConfirmRefused";
  }
}

/** TCP to two of control's endpoints, or to all where there are fewer. */
async function takesConnections(parts: ConvergeParts): Promise<boolean> {
  const endpoints = parts.local().control.flatMap((text) => parseEndpoint(text) ?? []);
  const tries = await Promise.allSettled(
    endpoints.map(({ address, port }) => parts.dial(address, port, DIAL_MS)),
  );
  const open = tries.filter(({ status }) => status === "fulfilled").length;
  return open > 0 && open >= Math.min(2, endpoints.length);
}

function requestOf(parts: ConvergeParts, issued: Issued, phase: ConfirmRequest["phase"]): ConfirmRequest {
  const { epoch, generation, digest } = issued.issue;
  const ports = phase === "confirm" ? issued.manifest.reach.map(({ port }) => port) : [];
  const reach = parts.ownAddresses().flatMap((address) => ports.map((port) => ({ address, port })));
  return { epoch, generation, digest, phase, reach };
}
