/** Maps all items, at most `atOnce` under way. The first failure is thrown after those under way have ended. */
export async function sideBySide<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const left = items.entries();
  async function worker(): Promise<void> {
    for (const [index, item] of left) results[index] = await work(item);
  }
  const done = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  const failed = done.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
  return results;
}
