/** One thing at a time, in the order asked for. A failure is its asker's, and doesn't stop the next. */
export interface Turns {
  take<T>(work: () => Promise<T>): Promise<T>;
  /** Nothing is under way and nothing waits. */
  idle(): boolean;
}

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    take(work) {
      waiting += 1;
      const result = last.then(work).finally(() => {
        waiting -= 1;
      });
      last = result.catch(() => undefined);
      return result;
    },
    idle: () => waiting === 0,
  };
}
