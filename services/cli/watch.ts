import { SluiceError } from "@sluice/proto/base/errors";

interface Unsubscribable {
  unsubscribe(): void;
}

interface Observer<T> {
  onData(value: T): void;
  onError(error: unknown): void;
  onComplete(): void;
}

/**
 * Follows a subscription to its end and gives the last value; `onValue` sees each. Ctrl-C ends the watching, not what
 * is watched.
 */
export async function watch<T>(
  subscribe: (observer: Observer<T>) => Unsubscribable,
  signal: AbortSignal,
  onValue: (value: T) => void,
  isLast: (value: T) => boolean = () => false,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let last: T | undefined;
  function finish(): void {
    if (last === undefined) reject(new SluiceError("UNAVAILABLE", "the stream ended before its first value"));
    else resolve(last);
  }
  const subscription = subscribe({
    onData(value) {
      last = value;
      onValue(value);
      if (isLast(value)) finish();
    },
    onError: reject,
    onComplete: finish,
  });
  signal.addEventListener("abort", finish, { once: true });
  try {
    return await promise;
  } finally {
    subscription.unsubscribe();
  }
}
