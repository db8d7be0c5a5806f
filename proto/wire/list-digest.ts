import { createHash } from "node:crypto";
import type { ListEntry } from "./list.ts";

/**
 * The digest of a live list: the sum, modulo 2^256, of sha256 of each of its entries. It doesn't depend on their order
 * and a change costs as much as the change, not as the list: one address among a million is one hash.
 * It tells apart lists that differ by fault; against forgery there is the signature.
 */
export const EMPTY_LIST_DIGEST = "0".repeat(64);

const MODULUS = 1n << 256n;

/** The line an entry has in a snapshot and in the digest: `entry` or `entry until`. */
export function listLine(entry: ListEntry): string {
  return entry.until === undefined ? entry.entry : `${entry.entry} ${entry.until}`;
}

/** The digest after `added` came and `removed` (as they stood, lifetime included) went. */
export function changeListDigest(
  digest: string,
  added: Iterable<ListEntry>,
  removed: Iterable<ListEntry>,
): string {
  let sum = BigInt(`0x${digest}`);
  for (const entry of added) sum += hashOf(entry);
  for (const entry of removed) sum -= hashOf(entry);
  const positive = ((sum % MODULUS) + MODULUS) % MODULUS;
  return positive.toString(16).padStart(64, "0");
}

function hashOf(entry: ListEntry): bigint {
  return BigInt(`0x${createHash("sha256").update(listLine(entry)).digest("hex")}`);
}
