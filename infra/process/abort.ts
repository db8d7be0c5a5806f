/**
 * The outcome of the work, or the signal's reason as soon as it is aborted. Work that is left alone goes on by itself:
 * whoever gave it ends it.
 */
export async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return await work;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Settles when the signal is aborted. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  const never = new Promise<never>(() => undefined);
  await unlessAborted(signal, never).catch(() => undefined);
}
