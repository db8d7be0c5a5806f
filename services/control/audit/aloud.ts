import { setTimeout as delay } from "node:timers/promises";
import { Hub } from "../context/hub.ts";

/** How far it has come, among so many events. */
interface Progress {
  seq: number;
  of: number;
}

export interface Watched {
  onProgress(progress: Progress): void;
  /** ends it, by throwing */
  signal: AbortSignal;
}

const TOLD_EVERY_MS = 500;

/** Does what takes its time with a large log, and tells how far it has come; the result is the last that is told. */
export async function* aloud<T>(
  signal: AbortSignal,
  work: (watched: Watched) => Promise<T>,
): AsyncGenerator<Progress | { result: T }> {
  const hub = new Hub();
  const done = new AbortController();
  let progress: Progress | undefined;
  const working = work({
    signal,
    onProgress(now) {
      progress = now;
      hub.poke();
    },
  }).finally(() => done.abort());
  working.catch(() => {}); // who still listens is told below
  for await (const _ of hub.looks(AbortSignal.any([signal, done.signal]))) {
    if (progress !== undefined) yield progress;
    await delay(TOLD_EVERY_MS, undefined, { signal: done.signal }).catch(() => {});
  }
  yield { result: await working };
}
