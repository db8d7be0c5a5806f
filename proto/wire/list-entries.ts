import { SluiceError } from "../base/errors.ts";
import type { Family } from "../base/names.ts";
import { AddressTable } from "./address-table.ts";
import { createKey, readKey, writeKey } from "./address-text.ts";

/**
 * The entries of a live list, and until when each counts (ISO; undefined: for ever): as a Map of texts to look at, two
 * flat tables in memory. Takes only what is in canonical form, so every text comes out as it went in.
 */
export class ListEntries {
  #tables: Record<Family, AddressTable>;
  readonly #key = createKey();

  /** `expected`: about how many there will be; what is known before needn't be grown into */
  constructor(expected: Partial<Record<Family, number>> = {}) {
    this.#tables = { 4: new AddressTable(4, expected[4]), 6: new AddressTable(6, expected[6]) };
  }

  get size(): number {
    return this.#tables[4].size + this.#tables[6].size;
  }

  table(family: Family): AddressTable {
    return this.#tables[family];
  }

  has(entry: string): boolean {
    const family = this.#read(entry);
    return family !== undefined && this.#tables[family].find(this.#key) !== -1;
  }

  get(entry: string): string | undefined {
    const family = this.#read(entry);
    if (family === undefined) return undefined;
    const table = this.#tables[family];
    const slot = table.find(this.#key);
    return slot === -1 ? undefined : isoOf(table.untilMs(slot));
  }

  /** Throws INVALID where the entry or its end isn't in canonical form. */
  set(entry: string, until?: string): void {
    const length = scratch.write(entry, "latin1");
    if (!this.setBytes(scratch.subarray(0, length), length === entry.length ? length : -1, until))
      throw new SluiceError("INVALID", `${entry} is no canonical address or network`);
  }

  /** The entry in the first `length` bytes; false where it isn't in canonical form. */
  setBytes(bytes: Uint8Array, length: number, until: string | undefined, from = 0): boolean {
    const family = readKey(bytes, from, from + length, this.#key);
    const untilMs = until === undefined ? 0 : Date.parse(until);
    if (family === undefined || isoOf(untilMs) !== until) return false;
    if (writeKey(family, this.#key, canonical, 0) !== length) return false;
    for (let at = 0; at < length; at++) if (canonical[at] !== bytes[from + at]) return false;
    this.#tables[family].set(this.#key, untilMs);
    return true;
  }

  delete(entry: string): boolean {
    const family = this.#read(entry);
    return family !== undefined && this.#tables[family].delete(this.#key);
  }

  *keys(): Generator<string> {
    for (const [entry] of this) yield entry;
  }

  *[Symbol.iterator](): Generator<[string, string | undefined]> {
    for (const table of [this.#tables[4], this.#tables[6]]) {
      for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) {
        table.read(slot, this.#key);
        const length = writeKey(table.family, this.#key, canonical, 0);
        yield [canonical.toString("latin1", 0, length), isoOf(table.untilMs(slot))];
      }
    }
  }

  copy(): ListEntries {
    const copy = new ListEntries();
    copy.#tables = { 4: this.#tables[4].copy(), 6: this.#tables[6].copy() };
    return copy;
  }

  #read(entry: string): Family | undefined {
    const length = scratch.write(entry, "latin1");
    return length === entry.length ? readKey(scratch, 0, length, this.#key) : undefined;
  }
}

const TEXT_MAX = 64;
const scratch = Buffer.alloc(TEXT_MAX);
const canonical = Buffer.alloc(TEXT_MAX);

function isoOf(untilMs: number): string | undefined {
  return untilMs === 0 || Number.isNaN(untilMs) ? undefined : new Date(untilMs).toISOString();
}
