import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { Logger } from "../context/services.ts";

/** Does something again and again, never twice at once, until the signal. A failure is said, and tried again in time. */
export async function every(
  ms: number,
  what: string,
  work: () => Promise<void>,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, `${what} failed, trying again`);
    }
    await delay(ms, undefined, { signal }).catch(() => {});
  }
}
