import { randomUUID } from "node:crypto";
import type { Appender } from "@sluice/db/log/append";
import type { NewEvent } from "@sluice/db/log/event-body";

/** What some time of calling came to. */
export interface Load {
  perSecond: number;
  latenciesMs: number[];
}

/** One that calls; each call returns when it was answered. */
export type Caller = () => Promise<void>;

/** So many callers, each of which calls again as soon as it is answered. */
export async function load(callers: number, forMs: number, newCaller: () => Caller): Promise<Load> {
  const latenciesMs: number[] = [];
  const begun = performance.now();
  const end = begun + forMs;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      const call = newCaller();
      for (let at = performance.now(); at < end; ) {
        await call();
        const now = performance.now();
        latenciesMs.push(now - at);
        at = now;
      }
    }),
  );
  return { perSecond: (latenciesMs.length * 1000) / (performance.now() - begun), latenciesMs };
}

/** A caller with a stream of its own, as an entity has: one command of one event at a time. */
export function appendCaller(appender: Appender): Caller {
  const stream = newStream();
  let expected = 0;
  return async () => {
    const verdict = await appender.append({ stream, expected, events: [outcomeEvent(stream)] });
    if (verdict.outcome !== "stored")
      throw new Error(`${stream} is at ${verdict.actual}, not at ${expected}`);
    expected = verdict.version;
  };
}

export function newStream(): string {
  return `bench-${randomUUID()}`;
}

/** As an outcome of a rollout is: some 600 bytes as stored. */
export function outcomeEvent(server: string): NewEvent {
  return {
    id: randomUUID(),
    type: "OutcomeRecorded",
    schemaVersion: 1,
    data: {
      server,
      generation: 7,
      epoch: 1,
      result: "confirmed",
      stats: { phasesMs: { rehearse: 61, apply: 4, verify: 12, confirm: 9 }, writes: 6 },
    },
    meta: {
      at: new Date().toISOString(),
      actor: "ada",
      reason: "shut the page",
      correlation: "0193d0f2-6d3c-7b1e",
    },
    keys: { server, policy: "web-edge", rollout: "0193d0f2-6d3c-7b1e" },
  };
}
