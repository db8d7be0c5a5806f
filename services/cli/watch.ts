import { SluiceError } from "@sluice/proto/base/errors";
import { errorViewOf } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** What tRPC tells of a subscription. */
export interface Observer<T> {
  onData(value: T): void;
  onError(error: unknown): void;
  onComplete(): void;
  onConnectionStateChange(state: { state: string; error: unknown }): void;
}

export interface Watching<T> {
  /** as it is now: who watches what isn't there, or is over, is told at once */
  first: T;
  subscribe(observer: Observer<T>): { unsubscribe(): void };
  signal: AbortSignal;
  terminal: Pick<Terminal, "err">;
  onView(view: T): void;
  isOver(view: T): boolean;
  /** how long control may be away in one go */
  patienceMs?: number;
}

export interface Watched<T> {
  view: T;
  interrupted: boolean;
}

const PATIENCE_MS = 120_000;

/**
 * Follows a view to its end and gives the last one.
 *
 * 1. Each view is whole, so a connection that was lost and is back has missed nothing.
 * 2. Control may go away and come back; away for longer than the patience is a fault.
 * 3. Ctrl-C ends the watching, not what is watched.
 */
export async function watch<T>(watching: Watching<T>): Promise<Watched<T>> {
  const { first, signal, terminal, onView, isOver, patienceMs = PATIENCE_MS } = watching;
  onView(first);
  if (isOver(first)) return { view: first, interrupted: false };
  const ended = Promise.withResolvers<Watched<T>>();
  let last = first;
  let away: NodeJS.Timeout | undefined;

  function lost(error: unknown): void {
    const { code } = errorViewOf(error);
    if (code !== "UNAVAILABLE" && code !== "INTERNAL") ended.reject(error);
    else away ??= waitForIt();
  }

  function waitForIt(): NodeJS.Timeout {
    terminal.err("control is away; trying again");
    return setTimeout(() => {
      const message = `control has been away for ${Math.round(patienceMs / 1000)} s`;
      const cure = "what was watched goes on when control is back; watch it again then";
      ended.reject(new SluiceError("UNAVAILABLE", message, { cure }));
    }, patienceMs);
  }

  function back(): void {
    if (away === undefined) return;
    clearTimeout(away);
    away = undefined;
    terminal.err("control is back");
  }

  const subscription = watching.subscribe({
    onData(view) {
      back();
      last = view;
      onView(view);
      if (isOver(view)) ended.resolve({ view, interrupted: false });
    },
    onError: ended.reject,
    onComplete: () => ended.reject(new SluiceError("UNAVAILABLE", "control ended the stream too early")),
    onConnectionStateChange: ({ state, error }) => {
      if (state === "connecting" && error) lost(error);
    },
  });
  const interrupt = () => ended.resolve({ view: last, interrupted: true });
  if (signal.aborted) interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await ended.promise;
  } finally {
    clearTimeout(away);
    subscription.unsubscribe();
  }
}
