import { setTimeout as delay } from "node:timers/promises";

const pauseMs = 20;

/** Asks again and again until the condition holds; throws after `timeoutMs`, with the last error if there was one. */
export async function waitUntil(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reason = "";
  while (performance.now() < deadline) {
    try {
      if (await holds()) return;
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message || error.name}` : `: ${error}`;
    }
    await delay(pauseMs);
  }
  throw new Error(`${what} did not come about within ${timeoutMs} ms${reason}`);
}
