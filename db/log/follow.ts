import { setTimeout as delay } from "node:timers/promises";
import type { Database } from "../connect.ts";
import { backOff, codeOf, isPassing } from "../faults.ts";
import { type Logger, silent } from "../logger.ts";

/**
 * Calls `onEvents` whenever there may be something new in the log, until the signal: at the start, at every
 * notification, and every `pollMs` in case one was lost. Never twice at once; any number of wakes while it runs make
 * one further call. It reads on from its own position: a wake carries nothing.
 *
 * While Postgres is away it waits and goes on; anything else that `onEvents` throws ends it, by rejecting.
 */
export async function follow(
  database: Database,
  onEvents: () => Promise<void>,
  { signal, pollMs = 1_000, log = silent }: { signal: AbortSignal; pollMs?: number; log?: Logger },
): Promise<void> {
  let asked = true;
  let wake = () => {};
  function ask() {
    asked = true;
    wake();
  }
  const listening = database.sql.listen(
    "sluice_events",
    (payload) => {
      if (payload.startsWith(`${database.schema}:`)) ask();
    },
    ask,
  );
  // not listening is only slower; the client keeps trying by itself
  listening.catch((error: unknown) => log.warn({ code: codeOf(error) }, "not woken by Postgres, polling"));

  try {
    for (let failures = 0; !signal.aborted; ) {
      asked = false;
      try {
        await onEvents();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!isPassing(error)) throw error;
        failures += 1;
        if (failures === 1) log.warn({ code: codeOf(error) }, "following the log waits for Postgres");
        await backOff(failures, 2_000, signal).catch(() => {});
        continue;
      }
      if (!asked) await wokenWithin(pollMs);
    }
  } finally {
    listening.then(({ unlisten }) => unlisten()).catch(() => {});
  }

  async function wokenWithin(ms: number) {
    const nap = new AbortController();
    wake = () => nap.abort();
    await delay(ms, undefined, { signal: AbortSignal.any([nap.signal, signal]) }).catch(() => {});
    wake = () => {};
  }
}
