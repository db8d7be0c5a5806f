import { type Family, listSet } from "@sluice/proto/base/names";
import type { AddressTable } from "@sluice/proto/wire/address-table";
import { createKey, writeDecimal, writeKey } from "@sluice/proto/wire/address-text";
import type { ListEntry } from "@sluice/proto/wire/list";

/**
 * Lines for `ipset restore` that bring a list into its sets. Each may be said again: `-exist`.
 *
 * A lifetime becomes the kernel's own: what is left of it when the line is written, however often that is.
 */
export interface SetLines {
  set: string;
  count: number;
  /** whether something is blocked that wasn't */
  adds: boolean;
  /** Made when it is asked for, so as of then. Undefined: filling the set anew is less. */
  chunks: (() => Iterable<string | Uint8Array>) | undefined;
}

/** The longest lifetime the kernel takes, in seconds (ipset counts in milliseconds in 31 bits). */
const TIMEOUT_MAX_S = 2_147_483;
const CHUNK_BYTES = 64 * 1024;
const LINE_MAX = 160;

/** Seconds an entry still has: 0 means for ever (as ipset says it), undefined that its time is over. */
export function remainingSeconds(untilMs: number, nowMs: number): number | undefined {
  if (untilMs === 0) return 0;
  const seconds = Math.ceil((untilMs - nowMs) / 1000);
  return seconds > 0 ? Math.min(seconds, TIMEOUT_MAX_S) : undefined;
}

export function familyOfEntry(entry: string): Family {
  return entry.includes(":") ? 6 : 4;
}

/** A few entries, as text: one script for all sets of the list. */
export function deltaLines(
  list: string,
  families: readonly Family[],
  add: readonly ListEntry[],
  del: readonly string[],
  nowMs: number,
): SetLines[] {
  return families.flatMap((family) => {
    const set = listSet(list, family);
    const added = add.filter(({ entry }) => familyOfEntry(entry) === family);
    const gone = del.filter((entry) => familyOfEntry(entry) === family);
    const count = added.length + gone.length;
    if (count === 0) return [];
    const lines = [
      ...gone.map((entry) => `del -exist ${set} ${entry}\n`),
      ...added.map(({ entry, until }) => {
        const seconds = remainingSeconds(until === undefined ? 0 : Date.parse(until), nowMs);
        return seconds === undefined
          ? `del -exist ${set} ${entry}\n`
          : `add -exist ${set} ${entry} timeout ${seconds}\n`;
      }),
    ];
    return [{ set, count, adds: added.length > 0, chunks: () => lines }];
  });
}

/** `add` lines for the entries that `wants` picks, in chunks; what has run out is left out. */
export function* addChunks(
  set: string,
  table: AddressTable,
  nowMs: number,
  wants: (slot: number) => boolean,
): Generator<Uint8Array> {
  const begin = Buffer.from(`add -exist ${set} `);
  const timeout = Buffer.from(" timeout ");
  const key = createKey();
  const writer = createChunks();
  for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) {
    const seconds = remainingSeconds(table.untilMs(slot), nowMs);
    if (seconds === undefined || !wants(slot)) continue;
    table.read(slot, key);
    const { chunk } = writer;
    let end = copy(begin, chunk, writer.end);
    end = writeKey(table.family, key, chunk, end);
    if (seconds > 0) end = writeDecimal(seconds, chunk, copy(timeout, chunk, end));
    const full = writer.endLine(end);
    if (full !== undefined) yield full;
  }
  yield writer.rest();
}

/** `del` lines for the entries that `wants` picks. */
export function* delChunks(
  set: string,
  table: AddressTable,
  wants: (slot: number) => boolean,
): Generator<Uint8Array> {
  const begin = Buffer.from(`del -exist ${set} `);
  const key = createKey();
  const writer = createChunks();
  for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) {
    if (!wants(slot)) continue;
    table.read(slot, key);
    const at = copy(begin, writer.chunk, writer.end);
    const full = writer.endLine(writeKey(table.family, key, writer.chunk, at));
    if (full !== undefined) yield full;
  }
  yield writer.rest();
}

/** Returns where it ends. `Buffer.copy` costs more than so few bytes do. */
function copy(text: Uint8Array, into: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) into[at + index] = text[index] ?? 0;
  return at + text.length;
}

function createChunks() {
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let end = 0;
  return {
    get chunk() {
      return chunk;
    },
    get end() {
      return end;
    },
    /** The chunk, once it is full. */
    endLine(at: number): Buffer | undefined {
      chunk[at] = 10;
      end = at + 1;
      if (end + LINE_MAX <= CHUNK_BYTES) return undefined;
      const full = chunk.subarray(0, end);
      chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      end = 0;
      return full;
    },
    rest: () => chunk.subarray(0, end),
  };
}
