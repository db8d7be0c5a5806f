/**
 * Two tools that both want an object fight for ever unless one stops: after `limit` repairs of the same object within
 * the window, this one does. An object rests until a whole window has passed without a repair.
 */
export interface ContentionOptions {
  limit: number;
  windowMs: number;
}

export interface Contention {
  /** Which of these objects may still be repaired; a repair of each of them is counted. */
  admit(objects: readonly string[], nowMs: number): { repair: string[]; contended: string[] };
  /** What is left alone now. */
  contended(nowMs: number): string[];
}

export function createContention({ limit, windowMs }: ContentionOptions): Contention {
  const repairs = new Map<string, number[]>();

  function recent(object: string, nowMs: number): number[] {
    const kept = (repairs.get(object) ?? []).filter((at) => nowMs - at < windowMs);
    if (kept.length === 0) repairs.delete(object);
    else repairs.set(object, kept);
    return kept;
  }

  function isContended(object: string, nowMs: number): boolean {
    return recent(object, nowMs).length >= limit;
  }

  return {
    admit(objects, nowMs) {
      const contended = objects.filter((object) => isContended(object, nowMs));
      const repair = objects.filter((object) => !contended.includes(object));
      for (const object of repair) repairs.set(object, [...(repairs.get(object) ?? []), nowMs]);
      return { repair, contended };
    },
    contended: (nowMs) => [...repairs.keys()].filter((object) => isContended(object, nowMs)),
  };
}
