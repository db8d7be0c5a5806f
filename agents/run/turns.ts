import { SluiceError } from "@sluice/proto/base/errors";

/** One thing at a time, in the order asked for. A failure is its asker's, and doesn't stop the next. */
export interface Turns {
  take<T>(work: () => Promise<T>): Promise<T>;
  /** Refuses what is asked for from now on, also by what is still under way; resolves when that is done. */
  close(): Promise<void>;
}

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  return {
    take(work) {
      if (isClosed) return Promise.reject(new SluiceError("UNAVAILABLE", "the agent stops"));
      const result = last.then(work);
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      isClosed = true;
      await last;
    },
  };
}
