import type { Entity } from "./entity.ts";

/**
 * Streams as far as they were read last. They only ever grow, so what was read stays true, and whoever decides on one
 * reads what came since: one that is long costs no more than one that is short.
 *
 * It is no answer by itself: `load` asks the log for what is newer each time. A database that was put back to an earlier
 * moment under a running control shows as a conflict, and then the stream is read anew.
 */
export interface StreamStates {
  of<State>(stream: string, entity: Entity<State>): Loaded<State>;
  keep<State>(stream: string, entity: Entity<State>, loaded: Loaded<State>): void;
  forget(stream: string): void;
}

export interface Loaded<State> {
  state: State;
  /** the number of the stream's events that made it */
  version: number;
}

const MOST_KEPT = 20_000;

export function createStreamStates(mostKept = MOST_KEPT): StreamStates {
  const kept = new Map<string, { entity: unknown; loaded: Loaded<unknown> }>();

  return {
    of<State>(stream: string, entity: Entity<State>) {
      const found = kept.get(stream);
      if (found?.entity !== entity) return { state: entity.initial, version: 0 };
      return found.loaded as Loaded<State>; // beside an entity stands only what it evolved
    },
    keep(stream, entity, loaded) {
      const found = kept.get(stream);
      // two may have read at once
      if (found?.entity === entity && found.loaded.version > loaded.version) return;
      kept.delete(stream);
      kept.set(stream, { entity, loaded });
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
    },
    forget: (stream) => void kept.delete(stream),
  };
}
