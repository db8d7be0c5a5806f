import { SluiceError } from "@sluice/proto/base/errors";
import type { SluiceEvent } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

export interface FleetState {
  frozen: boolean;
  epoch: number;
}

export const fleetEntity: Entity<FleetState> = {
  initial: { frozen: false, epoch: 1 },
  evolve(state, event) {
    if (event.type === "FleetFrozen") return { ...state, frozen: true };
    if (event.type === "FleetThawed") return { ...state, frozen: false };
    if (event.type === "EpochOpened") return { ...state, epoch: event.data.epoch };
    return state;
  },
};

/** Freezing what is frozen is nothing. */
export function decideFrozen(state: FleetState, frozen: boolean): SluiceEvent[] {
  if (state.frozen === frozen) return [];
  return [frozen ? { type: "FleetFrozen", data: {} } : { type: "FleetThawed", data: {} }];
}

/** The next one, or the one asked for; and a freeze, so that nobody is told anything before somebody has looked. */
export function decideEpoch(state: FleetState, epoch = state.epoch + 1): SluiceEvent[] {
  if (epoch <= state.epoch) {
    throw new SluiceError("REFUSED", `epoch ${state.epoch} is open: ${epoch} wouldn't be a new one`, {
      cure: `take one above ${state.epoch}`,
    });
  }
  return [{ type: "EpochOpened", data: { epoch } }, ...decideFrozen(state, true)];
}
