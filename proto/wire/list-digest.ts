import { createHash } from "node:crypto";

/**
 * Digest of a list's content: sha256 over its canonical entries, sorted by code unit, one a line.
 * When an entry ends isn't part of it, so it stays the same until the entry is taken out.
 */
export function listDigest(entries: readonly string[]): string {
  return sortedListDigest([...entries].sort());
}

/** The same for entries that are sorted already: no copy, no sort. */
export function sortedListDigest(sorted: readonly string[]): string {
  return createHash("sha256").update(sorted.join("\n")).digest("hex");
}

/** What a list's digest is before its first change. */
export const EMPTY_LIST_DIGEST = listDigest([]);
