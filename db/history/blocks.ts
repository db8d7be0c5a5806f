import { sql } from "drizzle-orm";
import type { Database, Tx } from "../connect.ts";
import { readHead, readPage } from "../log/read.ts";
import { lockCheckpoint, moveCheckpoint, readCheckpoint } from "../projections/checkpoint.ts";
import { type Indexed, termsOf, wordsIn } from "./terms.ts";

/**
 * The history's index: which term stands in which events, by blocks of the log.
 *
 * 1. A block is written once, when all of its events are there, in the transaction that moves the checkpoint. What comes
 *    after the checkpoint is fewer events than a block holds, and is looked through as it is (find.ts).
 * 2. It is made of the log alone, and any number of processes may fill it: one does at a time.
 * 3. Nothing waits for it, and no append touches it.
 * 4. Events that were archived are missing from their block, and once they are dropped from its index.
 */
export const EVENTS_PER_BLOCK = 1024;
export const HISTORY = "history";
const BLOCKS_AT_ONCE = 16;

/** How many events are in blocks. */
export function readFilled(database: Pick<Database, "db">): Promise<number> {
  return readCheckpoint(database.db, HISTORY);
}

/** Writes every block that is complete. Reads no event while none is. */
export async function fillBlocks(database: Pick<Database, "db">, signal?: AbortSignal): Promise<void> {
  const [filled, head] = await Promise.all([readFilled(database), readHead(database.db)]);
  if (head.seq - filled < EVENTS_PER_BLOCK) return;
  for (let full = true; full && !signal?.aborted; ) {
    full = await database.db.transaction(async (tx) => {
      const begun = await lockCheckpoint(tx, HISTORY);
      const { seq } = await readHead(tx);
      const complete = Math.floor((seq - begun) / EVENTS_PER_BLOCK);
      const blocks = Math.min(complete, BLOCKS_AT_ONCE);
      for (let n = 0; n < blocks; n += 1) await writeBlock(tx, blockOf(begun + 1) + n);
      if (blocks > 0) await moveCheckpoint(tx, HISTORY, begun + blocks * EVENTS_PER_BLOCK);
      return blocks === BLOCKS_AT_ONCE;
    });
  }
}

/** Writes blocks anew whose events have lost what was erased, or were dropped; they may not be filled yet. */
export async function refillBlocks(tx: Tx, blocks: Iterable<number>): Promise<void> {
  const filled = await lockCheckpoint(tx, HISTORY);
  const these = [...new Set(blocks)].filter((block) => block * EVENTS_PER_BLOCK < filled);
  const all = `{${these.join(",")}}`;
  await tx.execute(sql`delete from history_terms where block = any(${all}::text::integer[])`);
  await tx.execute(sql`delete from history_blocks where block = any(${all}::text::integer[])`);
  for (const block of these) await writeBlock(tx, block);
}

export function blockOf(seq: number): number {
  return Math.floor((seq - 1) / EVENTS_PER_BLOCK);
}

/** One statement for any number of terms: they travel as one JSON text. */
async function writeBlock(tx: Tx, block: number): Promise<void> {
  const before = block * EVENTS_PER_BLOCK;
  const events = await readPage(tx, before, EVENTS_PER_BLOCK, before + EVENTS_PER_BLOCK);
  if (events.length === 0) return;
  const { terms, firstAt, lastAt } = indexBlock(events);
  const rows = [...terms].map(([t, places]) => ({ t, p: places.toString("hex") }));
  await tx.execute(sql`
    insert into history_terms (term, block, places)
    select r.t, ${block}, decode(r.p, 'hex')
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(t text, p text)`);
  await tx.execute(sql`
    insert into history_blocks (block, first_at, last_at)
    values (${block}, ${firstAt}::text::timestamptz, ${lastAt}::text::timestamptz)`);
}

/** What a block's rows say, of its events in their order. */
export function indexBlock(events: readonly Indexed[]): {
  terms: Map<string, Buffer>;
  firstAt: string;
  lastAt: string;
} {
  const places = new Map<string, number[]>();
  const known = new Map<string, readonly string[]>();
  /** the events of a block say the same names again and again */
  function wordsOf(text: string): readonly string[] {
    const words = known.get(text) ?? wordsIn(text);
    known.set(text, words);
    return words;
  }
  for (const event of events) {
    const place = (event.seq - 1) % EVENTS_PER_BLOCK;
    for (const term of termsOf(event, wordsOf)) {
      const known = places.get(term);
      if (known) known.push(place);
      else places.set(term, [place]);
    }
  }
  const times = events.map(({ meta }) => meta.at).sort();
  return {
    terms: new Map([...places].map(([term, its]) => [term, writePlaces(its)])),
    firstAt: times[0] ?? "",
    lastAt: times.at(-1) ?? "",
  };
}

function writePlaces(places: readonly number[]): Buffer {
  const bytes = Buffer.alloc(places.length * 2);
  for (const [index, place] of places.entries()) bytes.writeUInt16BE(place, index * 2);
  return bytes;
}

/** Ascending, each from 0 to the block's last. */
export function readPlaces(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2));
}

/** The same without reading all of them. */
export function hasPlace(bytes: Buffer, place: number): boolean {
  let low = 0;
  let high = bytes.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bytes.readUInt16BE(middle * 2) < place) low = middle + 1;
    else high = middle;
  }
  return low * 2 < bytes.length && bytes.readUInt16BE(low * 2) === place;
}
