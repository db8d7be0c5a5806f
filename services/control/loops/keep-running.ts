import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { Logger } from "../context/services.ts";

const AGAIN_MS = 1_000;

/** Runs a loop until the signal. One that ends by a failure is said, and begun again. */
export async function keepRunning(
  what: string,
  loop: (signal: AbortSignal) => Promise<void>,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await loop(signal);
    } catch (error) {
      if (signal.aborted) return;
      log.error({ error: messageOf(error) }, `${what} failed, beginning again`);
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => {});
  }
}
