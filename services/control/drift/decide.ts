import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import { driftFingerprint, type ServerState } from "../servers/state.ts";

export const REPEATED_WITHIN_MS = 10_000;

/** The same drift again within seconds is the same event, seen once more. */
export function decideDrift(
  state: ServerState,
  detected: Omit<EventData<"DriftDetected">, "server">,
  nowMs: number,
): SluiceEvent[] {
  const { drift, server } = state;
  const isRepeat =
    drift !== undefined &&
    drift.fingerprint === driftFingerprint(detected) &&
    nowMs - Date.parse(drift.at) < REPEATED_WITHIN_MS;
  return isRepeat ? [] : [{ type: "DriftDetected", data: { server, ...detected } }];
}
