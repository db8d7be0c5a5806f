import type { Aim, Ratio, Row } from "./bench.ts";

export function row(label: string, unit: string, samples: readonly number[]): Row {
  return { label, unit, ...spread(samples) };
}

/** Of pairs that were measured next to each other, so that a slow minute of the machine slows both. */
export function ratio(label: string, ours: readonly number[], peer: readonly number[], aim?: Aim): Ratio {
  const { min, median, max } = spread(ours.map((sample, index) => sample / (peer[index] ?? Number.NaN)));
  const plain = { label, value: median, min, max };
  return aim === undefined ? plain : { ...plain, aim, met: meets(median, aim) };
}

export function spread(samples: readonly number[]): { min: number; median: number; max: number } {
  return { min: quantile(samples, 0), median: quantile(samples, 0.5), max: quantile(samples, 1) };
}

/** `share` from 0 to 1; between two samples it is interpolated. Throws where there are no samples. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new Error("there are no samples");
  return below + (above - below) * (place - Math.floor(place));
}

function meets(value: number, aim: Aim): boolean {
  return "atMost" in aim ? value <= aim.atMost : value >= aim.atLeast;
}
