import { setTimeout as delay } from "node:timers/promises";
import { unlessAborted } from "./abort.ts";

const pauseMs = 20;

/**
 * Asks again and again until the condition holds; throws after `timeoutMs`, with the last error if there was one, and as
 * soon as the signal is aborted, with its reason.
 */
export async function waitUntil(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean> | boolean,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reason = "";
  while (performance.now() < deadline) {
    try {
      if (await unlessAborted(signal, Promise.resolve(holds()))) return;
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message || error.name}` : `: ${error}`;
    }
    signal?.throwIfAborted();
    await delay(pauseMs);
  }
  throw new Error(`${what} did not come about within ${timeoutMs} ms${reason}`);
}
