import type { Clock } from "./services.ts";

/**
 * For how long servers could be heard. While control, its database or NATS is away, what a server says waits in the
 * stream of reports: nobody is called silent for that time.
 */
export interface Listening {
  /** Looked at again and again: can a report be heard and recorded now? */
  look(hears: boolean): void;
  /** milliseconds since `atMs`, or since it began to hear where that is later; 0 while it hears nothing */
  heardMs(atMs: number): number;
}

export function createListening(clock: Clock): Listening {
  let sinceMs: number | undefined;
  return {
    look(hears) {
      sinceMs = hears ? (sinceMs ?? clock.now().getTime()) : undefined;
    },
    heardMs(atMs) {
      return sinceMs === undefined ? 0 : clock.now().getTime() - Math.max(atMs, sinceMs);
    },
  };
}
