/**
 * Units of policies: durations (`20s`, `10m`, `2h`, `1d`, `200ms`) and rates as tc writes them
 * (`200kbit`, `1mbit`, `1.5mbit`; `bps` is bytes per second in tc, so it isn't taken here: write bits).
 */
const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const RATE_BIT: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };

const SIZE_BYTE: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1024,
  m: 1048576,
  mb: 1048576,
};

/** Milliseconds, or undefined where the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  return parseUnit(text, DURATION_MS);
}

/** Bits per second, or undefined where the text is no rate. */
export function parseRateBitPerSec(text: string): number | undefined {
  return parseUnit(text, RATE_BIT);
}

/** Bytes, or undefined where the text is no size (`1500`, `16k`, `1mb`). */
export function parseSizeBytes(text: string): number | undefined {
  return parseUnit(text, SIZE_BYTE);
}

/** The shortest form with a whole number: 600000 → `10m`. */
export function formatDuration(ms: number): string {
  const unit = ["d", "h", "m", "s"].find((name) => ms > 0 && ms % (DURATION_MS[name] ?? 1) === 0) ?? "ms";
  return `${ms / (DURATION_MS[unit] ?? 1)}${unit}`;
}

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(text.trim().toLowerCase());
  const factor = match?.[2] !== undefined && Object.hasOwn(units, match[2]) ? units[match[2]] : undefined;
  if (match === null || factor === undefined) return undefined;
  return Math.round(Number(match[1]) * factor);
}
