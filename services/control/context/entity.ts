import type { EventOf, EventType, SluiceEvent } from "@sluice/proto/events/event";

/** An event as `evolve` sees it: its content, its place in the log, when and under which command it was stored. */
export type SeenEvent = { [T in EventType]: Seen<T> }[EventType];
export type Seen<T extends EventType> = EventOf<T> & {
  seq: number;
  meta: { at: string; correlation: string };
};

/**
 * What is decided over: one stream's state. `evolve` and every `decide` are pure: no clock, no ids, no I/O; what they
 * need of those comes in with the command.
 */
export interface Entity<State> {
  initial: State;
  evolve(state: State, event: SeenEvent): State;
}

/** The state after these events: how unit tests say "given". */
export function given<State>(entity: Entity<State>, events: readonly SluiceEvent[]): State {
  return events.reduce(
    (state, event, index) =>
      entity.evolve(state, {
        ...event,
        seq: index + 1,
        meta: { at: new Date(index * 1000).toISOString(), correlation: "given" },
      }),
    entity.initial,
  );
}
