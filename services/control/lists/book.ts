import type { Family } from "@sluice/proto/base/names";
import type { SluiceEvent } from "@sluice/proto/events/event";
import type { ListDelta, ListHead } from "@sluice/proto/wire/list";
import { emptyList, type ListState } from "@sluice/proto/wire/list-state";

/**
 * One live list in memory, changed in place: a copy for every change would cost what the list costs. The log stays the
 * truth: a book says up to which version of the stream it was written, and is read on from there.
 */
export interface Book {
  list: string;
  /** of the list's stream */
  version: number;
  created: boolean;
  retired: boolean;
  families: readonly Family[];
  state: ListState;
  /** the newest snapshot in NATS and the deltas since; no snapshot: since the first */
  snapshot: ListHead["snapshot"];
  tail: ListDelta[];
  tailBytes: number;
}

export const TAIL_MOST_DELTAS = 64;
export const TAIL_MOST_BYTES = 256 * 1024;

export function newBook(list: string): Book {
  return {
    list,
    version: 0,
    created: false,
    retired: false,
    families: [],
    state: emptyList(),
    snapshot: undefined,
    tail: [],
    tailBytes: 0,
  };
}

/** Writes the next event of the list's stream into the book. */
export function write(book: Book, event: SluiceEvent, { at, epoch }: { at: string; epoch: number }): void {
  book.version += 1;
  switch (event.type) {
    case "ListCreated":
      book.created = true;
      book.retired = false;
      book.families = event.data.families;
      return;
    case "ListRetired":
      book.retired = true;
      return;
    case "ListChanged": {
      const delta: ListDelta = { ...event.data, epoch, at };
      for (const entry of delta.del) book.state.entries.delete(entry);
      for (const { entry, until } of delta.add) book.state.entries.set(entry, until);
      book.state.rev = delta.rev;
      book.state.digest = delta.digest;
      book.tail.push(delta);
      book.tailBytes += JSON.stringify(delta).length;
      return;
    }
  }
}

/** The tail got long, or doesn't reach back to the first change: a head needs a snapshot. */
export function wantsSnapshot({ state, snapshot, tail, tailBytes }: Book): boolean {
  const from = snapshot?.rev ?? 0;
  return tail.length > TAIL_MOST_DELTAS || tailBytes > TAIL_MOST_BYTES || from + tail.length !== state.rev;
}

export function putSnapshot(book: Book, snapshot: NonNullable<ListHead["snapshot"]>): void {
  book.snapshot = snapshot;
  book.tail = book.tail.filter(({ rev }) => rev > snapshot.rev);
  book.tailBytes = book.tail.reduce((sum, delta) => sum + JSON.stringify(delta).length, 0);
}

export function headOf({ list, state, snapshot, tail, retired }: Book, epoch: number): ListHead {
  const { rev, digest } = state;
  return { epoch, list, rev, digest, ...(snapshot && { snapshot }), tail: [...tail], retired };
}
