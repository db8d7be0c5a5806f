/** A jump from one chain of a table to another. `rule` is whatever the caller knows it by. */
export interface Jump<R> {
  from: string;
  to: string;
  rule: R;
}

export interface Cycle<R> {
  /** `a`, `b`, `a` */
  chains: string[];
  /** the jump that closes it */
  rule: R;
}

/** More would say no more. */
const CYCLES_MAX = 10;

/** The cycles that a walk from each chain in turn comes upon. The kernel refuses a table that has one. */
export function findCycles<R>(jumps: readonly Jump<R>[]): Cycle<R>[] {
  const from = Map.groupBy(jumps, (jump) => jump.from);
  const done = new Set<string>();
  const cycles: Cycle<R>[] = [];
  for (const start of from.keys()) walk(start);
  return cycles;

  /** Depth first with a stack of its own: a table may have thousands of chains in a row. */
  function walk(start: string): void {
    const path: { chain: string; next: number }[] = [{ chain: start, next: 0 }];
    const onPath = new Set([start]);
    while (path.length > 0 && cycles.length < CYCLES_MAX) {
      const here = path.at(-1);
      if (here === undefined) return;
      const jump = done.has(here.chain) ? undefined : from.get(here.chain)?.[here.next];
      here.next += 1;
      if (jump === undefined) {
        done.add(here.chain);
        onPath.delete(here.chain);
        path.pop();
      } else if (onPath.has(jump.to)) {
        const chains = path.map(({ chain }) => chain);
        cycles.push({ chains: [...chains.slice(chains.indexOf(jump.to)), jump.to], rule: jump.rule });
      } else if (!done.has(jump.to)) {
        onPath.add(jump.to);
        path.push({ chain: jump.to, next: 0 });
      }
    }
  }
}
