/**
 * Statements of one transaction that don't depend on each other, sent without waiting for the one before. Returns when all
 * have ended, so that none comes after the transaction; rejects with what failed first, which is why the others did.
 */
export async function together(works: readonly Promise<void>[]): Promise<void> {
  const ended = Promise.allSettled(works);
  try {
    await Promise.all(works);
  } finally {
    await ended;
  }
}
