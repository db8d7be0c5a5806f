import type { EventData } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

/** What was done to the log itself. */
export interface LogState {
  /** the newest archive, and its event */
  archived: (EventData<"LogArchived"> & { seq: number }) | undefined;
}

export const logEntity: Entity<LogState> = {
  initial: { archived: undefined },
  evolve(state, event) {
    return event.type === "LogArchived" ? { ...state, archived: { ...event.data, seq: event.seq } } : state;
  },
};
