/**
 * Tells whoever watches in this process that there may be something new. It carries nothing: a watcher reads again
 * for itself, and any number of pokes while it does make one further look.
 */
export class Hub {
  readonly #watchers = new Set<() => void>();

  poke(): void {
    for (const wake of this.#watchers) wake();
  }

  /** One look at once, then one after every poke, until the signal. */
  async *looks(signal: AbortSignal): AsyncGenerator<void> {
    let fresh = true;
    let wake = () => {};
    const watcher = () => {
      fresh = true;
      wake();
    };
    this.#watchers.add(watcher);
    signal.addEventListener("abort", watcher);
    try {
      while (!signal.aborted) {
        if (fresh) {
          fresh = false;
          yield;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", watcher);
    }
  }
}
