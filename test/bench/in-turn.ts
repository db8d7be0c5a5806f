import type { BenchContext } from "./bench.ts";

/**
 * Takes a sample of each side in turn (A B A B …), after one of each that doesn't count. Every side gives back its own
 * figure: a time, a rate.
 */
export async function inTurn<Side extends string>(
  { runs, signal }: BenchContext,
  sides: Readonly<Record<Side, () => Promise<number>>>,
): Promise<Record<Side, number[]>> {
  const names = Object.keys(sides) as Side[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Side, number[]>;
  for (let run = 0; run <= runs; run++) {
    for (const name of names) {
      signal.throwIfAborted();
      const sample = await sides[name]();
      if (run > 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** Wall time of a piece of work, in milliseconds. */
export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
