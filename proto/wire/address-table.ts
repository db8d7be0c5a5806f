import type { Family } from "../base/names.ts";
import { type AddressKey, createKey, writeKey } from "./address-text.ts";

/**
 * A hash of addresses and networks of one family in a few flat arrays.
 *
 *   slot      0        1        2 …             a power of two, at most 7/10 of them taken
 *   words     [4]      [4]      [4]             bytes: the address (IPv6: 16)
 *   taken     [1]      [1]      [1]             0: free; else prefix length + 1
 *   untilMs   [8]      [8]      [8]             only once one of them has an end; 0: none
 *   marks     [1]      [1]      [1]             only while somebody looks (see `look`)
 *
 * 1. A million IPv4 addresses take 10 MB, with ends 26. No object is made for any of them.
 * 2. Linear probing; what is taken out closes its gap, so nothing has to be swept.
 * 3. A look marks what it sees. What is set after it began counts as seen; what goes after it began is remembered.
 */
export class AddressTable {
  readonly family: Family;
  /** those with an end */
  expiring = 0;
  size = 0;
  #fewest: number | undefined;
  readonly #width: number;
  #words: Uint32Array;
  #taken: Uint8Array;
  #untilMs: Float64Array | undefined;
  #marks: Uint8Array | undefined;
  #gone = new Set<string>();
  readonly #byPrefix = new Uint32Array(129);
  readonly #scratch = createKey();

  constructor(family: Family, expected = 0) {
    this.family = family;
    this.#width = family === 4 ? 1 : 4;
    const slots = slotsFor(expected);
    this.#words = new Uint32Array(slots * this.#width);
    this.#taken = new Uint8Array(slots);
  }

  get lasting(): number {
    return this.size - this.expiring;
  }

  /** The fewest without an end since `beginCount`. */
  get fewestLasting(): number {
    return Math.min(this.#fewest ?? this.lasting, this.lasting);
  }

  /** Where the key is; -1: nowhere. Good until the next change. */
  find(key: AddressKey): number {
    const mask = this.#taken.length - 1;
    for (let slot = this.#home(key); ; slot = (slot + 1) & mask) {
      if (this.#taken[slot] === 0) return -1;
      if (this.#holds(slot, key)) return slot;
    }
  }

  /**
   * Where each of the first `count` IPv4 keys is. One right after the other, so that the machine fetches the memory of many
   * at once: that is most of what finding costs among a million.
   */
  findEach(words: Uint32Array, prefixes: Uint8Array, slots: Int32Array, count: number): void {
    const mask = this.#taken.length - 1;
    for (let index = 0; index < count; index++) {
      const word = words[index] ?? 0;
      const taken = (prefixes[index] ?? 0) + 1;
      let slot = finish(mix(start(taken), word)) & mask;
      while (this.#taken[slot] !== 0 && (this.#taken[slot] !== taken || this.#words[slot] !== word))
        slot = (slot + 1) & mask;
      slots[index] = this.#taken[slot] === 0 ? -1 : slot;
    }
  }

  /** Whether it was new. `untilMs` 0: without an end. */
  set(key: AddressKey, untilMs: number): boolean {
    if ((this.size + 1) * 10 > this.#taken.length * 7) this.#resize(this.size * 2);
    const mask = this.#taken.length - 1;
    let slot = this.#home(key);
    while (this.#taken[slot] !== 0 && !this.#holds(slot, key)) slot = (slot + 1) & mask;
    const isNew = this.#taken[slot] === 0;
    if (isNew) {
      for (let word = 0; word < this.#width; word++)
        this.#words[slot * this.#width + word] = key.words[word] ?? 0;
      this.#taken[slot] = key.prefix + 1;
      this.size++;
      this.#byPrefix[key.prefix] = (this.#byPrefix[key.prefix] ?? 0) + 1;
    } else if (this.untilMs(slot) > 0) {
      this.expiring--;
    }
    if (untilMs > 0) {
      this.#untilMs ??= new Float64Array(this.#taken.length);
      this.expiring++;
    }
    if (this.#untilMs !== undefined) this.#untilMs[slot] = untilMs;
    if (this.#marks !== undefined) this.#marks[slot] = 1;
    this.#note();
    return isNew;
  }

  /** Whether it was there. */
  delete(key: AddressKey): boolean {
    const slot = this.find(key);
    if (slot === -1) return false;
    if (this.untilMs(slot) > 0) this.expiring--;
    this.size--;
    this.#byPrefix[key.prefix] = (this.#byPrefix[key.prefix] ?? 1) - 1;
    if (this.#marks !== undefined) this.#gone.add(nameOf(key, this.#width));
    this.#close(slot);
    this.#note();
    return true;
  }

  /** The next taken slot after one; -1: no more. Begin with -1. */
  next(after: number): number {
    for (let slot = after + 1; slot < this.#taken.length; slot++) if (this.#taken[slot] !== 0) return slot;
    return -1;
  }

  read(slot: number, key: AddressKey): void {
    for (let word = 0; word < this.#width; word++)
      key.words[word] = this.#words[slot * this.#width + word] ?? 0;
    key.prefix = (this.#taken[slot] ?? 1) - 1;
  }

  text(slot: number): string {
    this.read(slot, this.#scratch);
    const text = Buffer.alloc(TEXT_MAX);
    return text.toString("latin1", 0, writeKey(this.family, this.#scratch, text, 0));
  }

  untilMs(slot: number): number {
    return this.#untilMs?.[slot] ?? 0;
  }

  /** Whether the address is in it, by itself or in a network. Its prefix is overwritten. */
  covers(address: AddressKey): boolean {
    const key = this.#scratch;
    for (let prefix = 0; prefix <= 128; prefix++) {
      if (this.#byPrefix[prefix] === 0) continue;
      for (let word = 0; word < 4; word++)
        key.words[word] = (address.words[word] ?? 0) & maskOf(prefix - 32 * word);
      key.prefix = prefix;
      if (this.find(key) !== -1) return true;
    }
    return false;
  }

  copy(): AddressTable {
    const copy = new AddressTable(this.family);
    copy.#words = this.#words.slice();
    copy.#taken = this.#taken.slice();
    copy.#untilMs = this.#untilMs?.slice();
    copy.#byPrefix.set(this.#byPrefix);
    copy.size = this.size;
    copy.expiring = this.expiring;
    return copy;
  }

  /** From now on what is seen can be marked, and what changes is remembered, until `endLook` or another look. */
  beginLook(): void {
    this.beginCount();
    this.#gone = new Set();
    this.#marks = new Uint8Array(this.#taken.length);
  }

  beginCount(): void {
    this.#fewest = this.lasting;
  }

  endLook(): void {
    this.#marks = undefined;
    this.#gone = new Set();
  }

  mark(slot: number): void {
    if (this.#marks !== undefined) this.#marks[slot] = 1;
  }

  isMarked(slot: number): boolean {
    return this.#marks?.[slot] === 1;
  }

  /** As `next`, of those that aren't marked. */
  nextUnmarked(after: number): number {
    const marks = this.#marks;
    if (marks === undefined) return this.next(after);
    for (let slot = after + 1; slot < this.#taken.length; slot++)
      if (this.#taken[slot] !== 0 && marks[slot] === 0) return slot;
    return -1;
  }

  /** Whether it was taken out since the look began. */
  hasGone(key: AddressKey): boolean {
    return this.#gone.size > 0 && this.#gone.has(nameOf(key, this.#width));
  }

  #note(): void {
    if (this.#fewest !== undefined && this.lasting < this.#fewest) this.#fewest = this.lasting;
  }

  #holds(slot: number, key: AddressKey): boolean {
    if (this.#taken[slot] !== key.prefix + 1) return false;
    for (let word = 0; word < this.#width; word++)
      if (this.#words[slot * this.#width + word] !== key.words[word]) return false;
    return true;
  }

  #home(key: AddressKey): number {
    let hash = start(key.prefix + 1);
    for (let word = 0; word < this.#width; word++) hash = mix(hash, key.words[word] ?? 0);
    return finish(hash) & (this.#taken.length - 1);
  }

  /** What follows and would be found no more through the gap moves into it. */
  #close(gap: number): void {
    const mask = this.#taken.length - 1;
    let free = gap;
    for (let slot = (gap + 1) & mask; this.#taken[slot] !== 0; slot = (slot + 1) & mask) {
      this.read(slot, this.#scratch);
      const home = this.#home(this.#scratch);
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      this.#move(slot, free);
      free = slot;
    }
    this.#taken[free] = 0;
    if (this.#untilMs !== undefined) this.#untilMs[free] = 0;
    if (this.#marks !== undefined) this.#marks[free] = 0;
  }

  #move(from: number, to: number): void {
    const width = this.#width;
    this.#words.copyWithin(to * width, from * width, (from + 1) * width);
    this.#taken[to] = this.#taken[from] ?? 0;
    if (this.#untilMs !== undefined) this.#untilMs[to] = this.#untilMs[from] ?? 0;
    if (this.#marks !== undefined) this.#marks[to] = this.#marks[from] ?? 0;
  }

  #resize(expected: number): void {
    const [width, words, taken, ends, marks] = [
      this.#width,
      this.#words,
      this.#taken,
      this.#untilMs,
      this.#marks,
    ];
    const slots = slotsFor(expected);
    const mask = slots - 1;
    this.#words = new Uint32Array(slots * width);
    this.#taken = new Uint8Array(slots);
    this.#untilMs = ends && new Float64Array(slots);
    this.#marks = marks && new Uint8Array(slots);
    for (let old = 0; old < taken.length; old++) {
      if (taken[old] === 0) continue;
      for (let word = 0; word < width; word++) this.#scratch.words[word] = words[old * width + word] ?? 0;
      this.#scratch.prefix = (taken[old] ?? 1) - 1;
      let slot = this.#home(this.#scratch);
      while (this.#taken[slot] !== 0) slot = (slot + 1) & mask;
      this.#words.set(words.subarray(old * width, (old + 1) * width), slot * width);
      this.#taken[slot] = taken[old] ?? 0;
      if (this.#untilMs && ends) this.#untilMs[slot] = ends[old] ?? 0;
      if (this.#marks && marks) this.#marks[slot] = marks[old] ?? 0;
    }
  }
}

/** The steps of the hash of a key: its prefix, each of its words, the end. */
function start(taken: number): number {
  return Math.imul(taken, 0x9e3779b1);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

function finish(hash: number): number {
  const mixed = Math.imul(hash, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const FEWEST_SLOTS = 16;
const TEXT_MAX = 64;

function slotsFor(expected: number): number {
  let slots = FEWEST_SLOTS;
  while (expected * 10 > slots * 7) slots *= 2;
  return slots;
}

/** The first `bits` of a word. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function nameOf(key: AddressKey, width: number): string {
  return `${key.words.subarray(0, width).join(":")}/${key.prefix}`;
}
