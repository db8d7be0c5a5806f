import type { AddressTable } from "@sluice/proto/wire/address-table";
import { createKey, readIpv4, readKey } from "@sluice/proto/wire/address-text";
import type { MembersLook } from "../drivers/driver.ts";
import { addChunks, remainingSeconds } from "./set-lines.ts";

export interface MembersLookOptions {
  table(): AddressTable;
  isSkipped(slot: number): boolean;
  /** resolves when no change of the list is on its way into the kernel */
  written(): Promise<void>;
  nowMs(): number;
}

/** the kernel counts a lifetime from when it was told */
const ABOUT_TO_END_S = 2;
/** more than these are counted, and no longer named: then the set is filled anew */
const STRAYS_NAMED = 10_000;
const SHOWN = 20;
/** as many as are looked up together */
const TOGETHER = 512;
const HEADER_END = Buffer.from("Members:\n");
const TIMEOUT = Buffer.from(" timeout ");
const NEWLINE = 10;
const SPACE = 32;
const ZERO = 48;

/**
 * Compares a list with what `ipset list` prints of its set, while it is being printed and in whatever order: each
 * member is looked up and marked, and what isn't marked in the end is missing. A byte for each slot is all it takes.
 * IPv4 goes through `readIpv4` and `findEach`, half of the work; what isn't found so is looked at again, one by one.
 *
 * 1. What a delta brought or took since the look began is right either way, and so is what is about to run out. What
 *    came before is in the kernel before it is asked.
 * 2. What was found is asked for when it is to be mended, and is answered as of then: nothing that a list has lost
 *    meanwhile is written back.
 * 3. A list that was replaced whole meanwhile has nothing missing and no strays: the next look will tell.
 */
export function createMembersLook(options: MembersLookOptions): MembersLook {
  const key = createKey();
  const words = new Uint32Array(TOGETHER);
  const prefixes = new Uint8Array(TOGETHER);
  const lasting = new Uint8Array(TOGETHER);
  const begins = new Uint32Array(TOGETHER);
  const slots = new Int32Array(TOGETHER);
  let looked: AddressTable | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let inMembers = false;
  let strays: string[] = [];
  let unnamed = 0;

  async function begin(): Promise<void> {
    looked?.endLook();
    looked = options.table();
    looked.beginLook();
    rest = Buffer.alloc(0);
    inMembers = false;
    strays = [];
    unnamed = 0;
    await options.written();
  }

  function heard(more: Uint8Array): void {
    const chunk = Buffer.from(more.buffer, more.byteOffset, more.length);
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    if (!inMembers) {
      const at = bytes.indexOf(HEADER_END);
      if (at === -1) {
        rest = Buffer.from(bytes);
        return;
      }
      inMembers = true;
      from = at + HEADER_END.length;
    }
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end > from) lines(bytes, from, end);
    rest = Buffer.from(bytes.subarray(Math.max(from, end)));
  }

  /** whole lines */
  function lines(bytes: Buffer, from: number, to: number): void {
    const isIpv4 = looked?.family === 4;
    let count = 0;
    for (let begin = from; begin < to; ) {
      const end = isIpv4 ? readIpv4(bytes, begin, to, key) : -1;
      const newline = bytes.indexOf(NEWLINE, begin);
      if (end === -1) {
        if (newline > begin) member(bytes, begin, newline);
      } else {
        words[count] = key.words[0] ?? 0;
        prefixes[count] = key.prefix;
        lasting[count] = lastsForEver(bytes, end, newline) ? 1 : 0;
        begins[count] = begin;
        if (++count === TOGETHER) {
          markEach(bytes, count);
          count = 0;
        }
      }
      begin = newline + 1;
    }
    markEach(bytes, count);
  }

  function markEach(bytes: Buffer, count: number): void {
    const table = looked;
    if (table === undefined) return;
    table.findEach(words, prefixes, slots, count);
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      if (slot === -1 || options.isSkipped(slot)) {
        const begin = begins[index] ?? 0;
        member(bytes, begin, bytes.indexOf(NEWLINE, begin));
      } else if ((lasting[index] === 1) === (table.untilMs(slot) === 0)) {
        table.mark(slot);
      }
    }
  }

  function member(bytes: Buffer, from: number, to: number): void {
    let end = from;
    while (end < to && bytes[end] !== SPACE) end++;
    const family = readKey(bytes, from, end, key);
    const table = looked !== undefined && family === looked.family ? looked : undefined;
    const slot = table === undefined ? -1 : table.find(key);
    if (table !== undefined && slot !== -1 && !options.isSkipped(slot)) {
      if (lastsForEver(bytes, end, to) === (table.untilMs(slot) === 0)) table.mark(slot);
    } else if (table === undefined || !table.hasGone(key)) {
      if (strays.length < STRAYS_NAMED) strays.push(bytes.toString("latin1", from, end));
      else unnamed++;
    }
  }

  function isMissing(table: AddressTable, slot: number): boolean {
    if (table.isMarked(slot) || options.isSkipped(slot)) return false;
    const seconds = remainingSeconds(table.untilMs(slot), options.nowMs());
    return seconds === 0 || (seconds ?? 0) > ABOUT_TO_END_S;
  }

  /** Without what the list has taken up meanwhile. */
  function standingStrays(table: AddressTable): string[] {
    return strays.filter((text) => {
      if (readKey(Buffer.from(text), 0, text.length, key) !== table.family) return true;
      const slot = table.find(key);
      return (slot === -1 || options.isSkipped(slot)) && !table.hasGone(key);
    });
  }

  function current(): AddressTable | undefined {
    return looked === options.table() ? looked : undefined;
  }

  return {
    begin,
    heard,
    found() {
      const table = current();
      if (table === undefined)
        return { missing: 0, missingShown: [], strays: 0, straysShown: [], areNamed: true };
      const missingShown: string[] = [];
      let missing = 0;
      for (let slot = table.nextUnmarked(-1); slot !== -1; slot = table.nextUnmarked(slot)) {
        if (!isMissing(table, slot)) continue;
        if (++missing <= SHOWN) missingShown.push(table.text(slot));
      }
      const extra = standingStrays(table);
      const [areNamed, straysShown] = [unnamed === 0, extra.slice(0, SHOWN)];
      return { missing, missingShown, strays: extra.length + unnamed, straysShown, areNamed };
    },
    *mendLines(set) {
      const table = current();
      if (table === undefined) return;
      const dels = standingStrays(table).map((element) => `del -exist ${set} ${element}\n`);
      yield Buffer.from(dels.join(""));
      yield* addChunks(set, table, options.nowMs(), (slot) => isMissing(table, slot));
    },
    end() {
      looked?.endLook();
      looked = undefined;
      strays = [];
    },
  };
}

/** ` timeout 0`: it stays; so does what has no timeout at all. */
function lastsForEver(bytes: Buffer, from: number, to: number): boolean {
  if (to - from < TIMEOUT.length) return true;
  for (let at = 0; at < TIMEOUT.length; at++) if (bytes[from + at] !== TIMEOUT[at]) return false;
  return bytes[from + TIMEOUT.length] === ZERO;
}
