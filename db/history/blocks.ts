import { sql } from "drizzle-orm";
import type { Database, Tx } from "../connect.ts";
import { readHead, readPage } from "../log/read.ts";
import type { StoredEvent } from "../log/stored-event.ts";
import { lockCheckpoint, moveCheckpoint, readCheckpoint } from "../projections/checkpoint.ts";
import { type Indexed, termsOf } from "./terms.ts";

/**
 * The history's index: which term stands in which events, by blocks of the log.
 *
 * 1. A block is written once, when all of its events are there, in the transaction that moves the checkpoint. What comes
 *    after the checkpoint is fewer events than a block holds, and is looked through as it is (find.ts).
 * 2. It is made of the log alone, and any number of processes may fill it: one does at a time.
 * 3. Nothing waits for it, and no append touches it.
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
      let position = await lockCheckpoint(tx, HISTORY);
      const begun = position;
      for (let count = 0; count < BLOCKS_AT_ONCE; count += 1) {
        const page = await readPage(tx, position, EVENTS_PER_BLOCK);
        if (page.length < EVENTS_PER_BLOCK) break;
        await writeBlock(tx, blockOf(position + 1), page);
        position += EVENTS_PER_BLOCK;
      }
      if (position > begun) await moveCheckpoint(tx, HISTORY, position);
      return position - begun === BLOCKS_AT_ONCE * EVENTS_PER_BLOCK;
    });
  }
}

/** Writes blocks anew whose events have lost what was erased; the events may be in none yet. */
export async function refillBlocks(tx: Tx, seqs: readonly number[]): Promise<void> {
  const filled = await lockCheckpoint(tx, HISTORY);
  for (const block of new Set(seqs.filter((seq) => seq <= filled).map(blockOf))) {
    await tx.execute(sql`delete from history_terms where block = ${block}`);
    await tx.execute(sql`delete from history_blocks where block = ${block}`);
    await writeBlock(tx, block, await readPage(tx, block * EVENTS_PER_BLOCK, EVENTS_PER_BLOCK));
  }
}

export function blockOf(seq: number): number {
  return Math.floor((seq - 1) / EVENTS_PER_BLOCK);
}

/** One statement for any number of terms: they travel as one JSON text. */
async function writeBlock(tx: Tx, block: number, events: readonly StoredEvent[]): Promise<void> {
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
  for (const [place, event] of events.entries()) {
    for (const term of termsOf(event)) {
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
