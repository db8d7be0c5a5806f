import type { EventData } from "@sluice/proto/events/event";
import type { RecordedEvent } from "../log/upcast-events.ts";

type Labels = Record<string, string>;
export type LabelsOf = Map<string, Labels>;

export function labelled(before: Labels | undefined, { set, unset }: EventData<"ServerLabelled">): Labels {
  return Object.fromEntries(Object.entries({ ...before, ...set }).filter(([key]) => !unset.includes(key)));
}

/** Whose labels must be known for these events to be applied. */
export function serversLabelled(events: readonly RecordedEvent[]): string[] {
  return [...new Set(events.flatMap(({ type, data }) => (type === "ServerLabelled" ? [data.server] : [])))];
}
