import type { SluiceEvent } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

export interface FleetState {
  frozen: boolean;
}

export const fleetEntity: Entity<FleetState> = {
  initial: { frozen: false },
  evolve(state, event) {
    if (event.type === "FleetFrozen") return { frozen: true };
    if (event.type === "FleetThawed") return { frozen: false };
    return state;
  },
};

/** Freezing what is frozen is nothing. */
export function decideFrozen(state: FleetState, frozen: boolean): SluiceEvent[] {
  if (state.frozen === frozen) return [];
  return [frozen ? { type: "FleetFrozen", data: {} } : { type: "FleetThawed", data: {} }];
}
