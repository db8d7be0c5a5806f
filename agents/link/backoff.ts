/** Between half of it and one and a half: what befell a whole fleet at once isn't answered at once. */
export function jittered(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (0.5 + random()));
}

const FIRST_RECONNECT_MS = 500;
const LAST_RECONNECT_MS = 8_000;

/** Before the next try of a connection that has been away for so long. */
export function reconnectWaitMs(awayMs: number, random: () => number = Math.random): number {
  return jittered(Math.max(FIRST_RECONNECT_MS, Math.min(awayMs, LAST_RECONNECT_MS)), random);
}

export interface Backoff {
  /** how long to wait now; longer each time */
  nextMs(): number;
  /** it went well */
  reset(): void;
}

export function createBackoff(
  { firstMs, lastMs }: { firstMs: number; lastMs: number },
  random: () => number = Math.random,
): Backoff {
  let waitMs = firstMs;
  return {
    nextMs() {
      const now = waitMs;
      waitMs = Math.min(waitMs * 2, lastMs);
      return jittered(now, random);
    },
    reset() {
      waitMs = firstMs;
    },
  };
}
