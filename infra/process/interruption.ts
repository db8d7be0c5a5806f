/**
 * Aborted by the first SIGINT, SIGTERM or SIGHUP, so that what was started can be ended in order. The second ends this
 * process where it stands: guarded children and janitors do the rest.
 */
export function interruption(onFirst: () => void = () => undefined): AbortSignal {
  const interrupted = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  function interrupt(): void {
    for (const signal of signals) process.off(signal, interrupt);
    onFirst();
    interrupted.abort(new Error("interrupted"));
  }
  for (const signal of signals) process.on(signal, interrupt);
  return interrupted.signal;
}
