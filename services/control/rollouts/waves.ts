import type { WavesInput } from "@sluice/proto/api/rollouts";
import { SluiceError } from "@sluice/proto/base/errors";

/**
 * Servers in waves. Sizes are shares of all servers reached by then, rounded up: [1, "25%", "100%"] of ten is one, two
 * more, the other seven. Named waves hold just those named. Empty waves are left out.
 */
export function planWaves(servers: readonly string[], waves: WavesInput | undefined): string[][] {
  if (waves === undefined) return [[...servers]];
  return isNamed(waves) ? namedWaves(servers, waves) : sizedWaves(servers, waves);
}

/** The servers that waves name; undefined for waves by size. */
export function namedIn(waves: WavesInput | undefined): string[] | undefined {
  return waves !== undefined && isNamed(waves) ? waves.flat() : undefined;
}

function isNamed(waves: WavesInput): waves is string[][] {
  return Array.isArray(waves[0]);
}

function namedWaves(servers: readonly string[], waves: readonly (readonly string[])[]): string[][] {
  const all = waves.flat();
  const twice = all.find((name, index) => all.indexOf(name) !== index);
  if (twice !== undefined) throw new SluiceError("INVALID", `${twice} is in two waves`);
  return waves.map((wave) => wave.filter((name) => servers.includes(name))).filter((wave) => wave.length > 0);
}

function sizedWaves(servers: readonly string[], sizes: readonly (number | string)[]): string[][] {
  const waves: string[][] = [];
  let reached = 0;
  for (const size of sizes) {
    const wanted =
      typeof size === "number" ? size : Math.ceil((servers.length * Number.parseInt(size, 10)) / 100);
    const until = Math.min(wanted, servers.length);
    if (until > reached) waves.push(servers.slice(reached, until));
    reached = Math.max(reached, until);
  }
  return waves;
}
