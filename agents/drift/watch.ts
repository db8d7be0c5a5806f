import type { Culprit } from "@sluice/proto/wire/report";
import { type Monitors, startMonitors } from "./monitors.ts";
import type { WatchedNamespace } from "./own-children.ts";

/**
 * When to look for drift.
 *
 * 1. A change that the kernel tells of: a little later, so that a burst is one look.
 * 2. What it doesn't tell of (ipset, legacy tables): every `pollMs`.
 * 3. Everything, every `fullCheckMs` or so: jittered, so that a fleet doesn't breathe in step.
 * 4. Our own writes wake nobody, but what nobody tells of is looked at soon after them, and less and less often: who read
 *    a legacy table before our write and writes it back after, undoes us.
 */
export interface WatchOptions {
  at: WatchedNamespace;
  /** every difference in these needs a look of its own; `all` for the full check */
  onLook(look: Look): void;
  pollMs: number;
  fullCheckMs: number;
  random(): number;
  nowMs(): number;
  log(message: string): void;
}

export interface Look {
  why: "event" | "poll" | "full";
  /** who changed something, as far as the kernel says, and when it was heard of */
  by?: Culprit | undefined;
  heardMs?: number | undefined;
}

export interface Watch {
  /** something of ours was written just now */
  wrote(): void;
  /** who was told last to have changed something, where that was not before `sinceMs` */
  lastHeard(sinceMs: number): Culprit | undefined;
  close(): Promise<void>;
}

const DEBOUNCE_MS = 10;
const FIRST_REREAD_MS = 50;

export function startWatch(options: WatchOptions): Watch {
  let isClosed = false;
  let pending: { by: Culprit | undefined; heardMs: number } | undefined;
  let debounce: NodeJS.Timeout | undefined;
  let last: { by: Culprit; heardMs: number } | undefined;

  function onChange(by: Culprit | undefined): void {
    if (by?.pid !== undefined && options.at.isOwnChild(by.pid)) return;
    if (by?.pid !== undefined) last = { by, heardMs: options.nowMs() };
    pending = { by: by ?? pending?.by, heardMs: pending?.heardMs ?? options.nowMs() };
    if (isClosed) return;
    debounce ??= setTimeout(() => {
      const heard = pending;
      pending = undefined;
      debounce = undefined;
      options.onLook({ why: "event", ...heard });
    }, DEBOUNCE_MS);
  }

  const monitors: Monitors = startMonitors({ at: options.at, onChange, log: options.log });
  const poll = setInterval(() => options.onLook({ why: "poll" }), options.pollMs);
  let full: NodeJS.Timeout;
  function scheduleFull(): void {
    full = setTimeout(
      () => {
        options.onLook({ why: "full" });
        scheduleFull();
      },
      options.fullCheckMs * (0.8 + 0.4 * options.random()),
    );
  }
  scheduleFull();
  let reread: NodeJS.Timeout | undefined;
  function rereadIn(ms: number): void {
    clearTimeout(reread);
    if (isClosed || ms >= options.pollMs) return;
    reread = setTimeout(() => {
      options.onLook({ why: "poll" });
      rereadIn(ms * 2);
    }, ms);
  }

  return {
    wrote: () => rereadIn(FIRST_REREAD_MS),
    lastHeard: (sinceMs) => (last !== undefined && last.heardMs >= sinceMs ? last.by : undefined),
    async close() {
      isClosed = true;
      clearTimeout(debounce);
      clearTimeout(reread);
      clearTimeout(full);
      clearInterval(poll);
      await monitors.close();
    },
  };
}
