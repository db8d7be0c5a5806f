import type { ListDelta, ListEntry } from "./list.ts";
import { changeListDigest, EMPTY_LIST_DIGEST } from "./list-digest.ts";
import { ListEntries } from "./list-entries.ts";
import { createSnapshotReader, snapshotChunks } from "./list-snapshot.ts";

/**
 * A live list held in memory, changed only by deltas. Control and agents use the same one, so both come to the same
 * digest or see at once that they don't.
 */
export interface ListState {
  rev: number;
  digest: string;
  entries: ListEntries;
}

export function emptyList(): ListState {
  return { rev: 0, digest: EMPTY_LIST_DIGEST, entries: new ListEntries() };
}

/** What really changes when `add` and `del` are asked for: entries that stand as asked are left out. */
export function effectiveChange(
  state: ListState,
  add: readonly ListEntry[],
  del: readonly string[],
): { add: ListEntry[]; del: string[] } {
  const wanted = new Map(add.map((entry) => [entry.entry, entry]));
  return {
    add: [...wanted.values()].filter(
      ({ entry, until }) => !state.entries.has(entry) || state.entries.get(entry) !== until,
    ),
    del: [...new Set(del)].filter((entry) => state.entries.has(entry) && !wanted.has(entry)),
  };
}

/** The digest that `state` would have after the change. */
export function digestAfter(state: ListState, add: readonly ListEntry[], del: readonly string[]): string {
  const gone = [...del, ...add.map(({ entry }) => entry)]
    .filter((entry) => state.entries.has(entry))
    .map((entry) => ({ entry, until: state.entries.get(entry) }));
  return changeListDigest(state.digest, add, gone);
}

export type Applied = "applied" | "old" | "gap" | "mismatch";

/** Applies the next delta in place. `gap`: one before it is missing. `mismatch`: it doesn't fit what is held here. */
export function applyDelta(state: ListState, delta: ListDelta): Applied {
  if (delta.rev <= state.rev) return "old";
  if (delta.rev !== state.rev + 1) return "gap";
  if (delta.previous !== state.digest) return "mismatch";
  if (digestAfter(state, delta.add, delta.del) !== delta.digest) return "mismatch";
  for (const entry of delta.del) state.entries.delete(entry);
  for (const { entry, until } of delta.add) state.entries.set(entry, until);
  state.rev = delta.rev;
  state.digest = delta.digest;
  return "applied";
}

/** The text of a snapshot blob: one `entry[ until]` a line. */
export function snapshotBytes(state: ListState): Buffer {
  return Buffer.concat([...snapshotChunks(state.entries)]);
}

/** Reads a snapshot blob; undefined where its digest isn't the one promised. */
export function readSnapshot(bytes: Uint8Array, rev: number, digest: string): ListState | undefined {
  const reader = createSnapshotReader();
  reader.heard(bytes);
  return reader.end(rev, digest);
}
