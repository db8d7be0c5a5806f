import { setTimeout as delay } from "node:timers/promises";

/**
 * What a fault of Postgres or of the way to it means. Codes are SQLSTATEs from the server, or names from the
 * socket and the client; drizzle wraps the driver's error, so causes are looked through.
 */
const notReached = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENOENT", "EHOSTUNREACH", "ENETUNREACH", "CONNECT_TIMEOUT"],
  ...["57P03", "53300"], // starting up or shutting down; too many connections
]);
const broken = new Set([
  ...["ECONNRESET", "EPIPE", "ETIMEDOUT", "CONNECTION_CLOSED", "CONNECTION_DESTROYED", "CONNECTION_ENDED"],
  ...["57P01", "57P02", "08000", "08003", "08006", "40003"],
]);
const passing = new Set(["40001", "40P01", "55P03", "57014", "25P03", "25P04"]); // deadlock, lock or statement timeout …

/** The code of an error or of the one it wraps. */
export function codeOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ("code" in current && typeof current.code === "string") return current.code;
  }
  return undefined;
}

/** The statement never reached the server: it certainly did nothing. */
export function isNotReached(error: unknown): boolean {
  return notReached.has(codeOf(error) ?? "");
}

/** The connection broke with the statement under way: whether it took effect isn't known. */
export function isBroken(error: unknown): boolean {
  return broken.has(codeOf(error) ?? "");
}

/** Trying again may work: Postgres is away, broke off, or was busy. */
export function isPassing(error: unknown): boolean {
  return isNotReached(error) || isBroken(error) || passing.has(codeOf(error) ?? "");
}

/** Waits longer with every failed attempt (counted from 1), never longer than `mostMs`, with jitter. */
export async function backOff(attempt: number, mostMs: number, signal?: AbortSignal): Promise<void> {
  const ms = Math.min(50 * 2 ** Math.min(attempt - 1, 16), mostMs) * (0.5 + Math.random() / 2);
  await delay(ms, undefined, signal ? { signal } : undefined);
}
