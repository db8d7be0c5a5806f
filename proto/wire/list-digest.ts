import { hash } from "node:crypto";
import type { ListEntry } from "./list.ts";

/**
 * The digest of a live list: the sum, modulo 2^256, of sha256 of each of its entries. It doesn't depend on their order
 * and a change costs as much as the change, not as the list: one address among a million is one hash.
 * It tells apart lists that differ by fault; against forgery there is the signature.
 */
export const EMPTY_LIST_DIGEST = "0".repeat(64);

const MODULUS = 1n << 256n;
const WORDS = 8;
/** sums of 32 bits are carried on before they lose their last bits */
const CARRY_AFTER = 1_000_000;

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
  let sum = numberOf(digest);
  for (const entry of added) sum += numberOf(hash("sha256", listLine(entry)));
  for (const entry of removed) sum -= numberOf(hash("sha256", listLine(entry)));
  return asDigest(sum);
}

function numberOf(hex: string): bigint {
  return BigInt(`0x${hex}`);
}

export interface DigestSum {
  add(line: string | Uint8Array): void;
  value(): bigint;
}

/** Adds word by word: numbers as large as a digest would be an object for each of a million. */
export function createDigestSum(): DigestSum {
  const words = new Float64Array(WORDS);
  let carried = 0n;
  let pending = 0;

  function carry(): void {
    let sum = 0n;
    for (const word of words) sum = (sum << 32n) + BigInt(word);
    carried += sum;
    words.fill(0);
    pending = 0;
  }

  return {
    add(line) {
      const bytes = hash("sha256", line, "buffer");
      for (let word = 0; word < WORDS; word++)
        words[word] = (words[word] ?? 0) + bytes.readUInt32BE(4 * word);
      pending++;
      if (pending >= CARRY_AFTER) carry();
    },
    value() {
      carry();
      return carried;
    },
  };
}

export function asDigest(sum: bigint): string {
  const positive = ((sum % MODULUS) + MODULUS) % MODULUS;
  return positive.toString(16).padStart(64, "0");
}
