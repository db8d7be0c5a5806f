import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { blockOf, EVENTS_PER_BLOCK, hasPlace, readPlaces } from "./blocks.ts";

/**
 * Which events of the blocks a question may mean, newest first.
 *
 * 1. A question is conditions that must all hold; a condition is terms of which one must stand in the event.
 * 2. The sparsest condition leads: no block is looked at in which it doesn't stand, however many there are. Its blocks are
 *    had a stretch at a time, newest first, and a stretch is looked at by few blocks first, and the further back, the more
 *    of them at once.
 * 3. Reads are lookups by (term, block) alone, so that no statistics of the table can mislead their plans.
 */
export type Condition = readonly string[];

export interface Range {
  /** seqs from here on … */
  from: number;
  /** … up to here, both included */
  to: number;
  /** ISO times: only blocks that have an event between them, both included */
  since?: string | undefined;
  until?: string | undefined;
}

/** Of the newest blocks of each condition so many are had at once. */
const STRETCH_BLOCKS = 256;
/** A condition of more terms never leads. */
const FEW_TERMS = 8;
const FIRST_CHUNK = 4;

/** Descending seqs, some at a time; never an empty some. */
export async function* candidates(
  db: Queryable,
  conditions: readonly Condition[],
  range: Range,
): AsyncGenerator<number[]> {
  if (range.to < range.from || conditions.some(({ length }) => length === 0)) return;
  let size = FIRST_CHUNK;
  for await (const blocks of stretches(db, conditions, range)) {
    for (let start = 0; start < blocks.length; ) {
      const chunk = blocks.slice(start, start + size);
      start += size;
      size = Math.min(size * 4, STRETCH_BLOCKS);
      const found = await seqsIn(db, conditions, chunk);
      const within = found.filter((seq) => seq >= range.from && seq <= range.to);
      if (within.length > 0) yield within;
    }
  }
}

/** The blocks to look at, newest first. */
async function* stretches(
  db: Queryable,
  conditions: readonly Condition[],
  range: Range,
): AsyncGenerator<number[]> {
  const leading = conditions.filter(({ length }) => length <= FEW_TERMS);
  const { first, last } = await boundsOf(db, range);
  for (let newest = last; newest >= first; ) {
    const { blocks, reach } =
      leading.length === 0 ? everyBlock(first, newest) : await newestStretch(db, leading, first, newest);
    yield blocks;
    newest = reach - 1;
  }
}

/** The first and the last block that have an event of this time; none where last comes before first. */
async function boundsOf(
  db: Queryable,
  { from, to, since, until }: Range,
): Promise<{ first: number; last: number }> {
  const first = blockOf(from);
  const last = blockOf(to);
  if (since === undefined && until === undefined) return { first, last };
  const [row] = await db.execute<{ first: number | null; last: number | null }>(sql`
    select min(block) as first, max(block) as last from history_blocks
     where block between ${first} and ${last}
       and last_at >= coalesce(${since ?? null}::text::timestamptz, '-infinity')
       and first_at <= coalesce(${until ?? null}::text::timestamptz, 'infinity')`);
  return { first: row?.first ?? first, last: row?.last ?? first - 1 };
}

interface Stretch {
  /** newest first */
  blocks: number[];
  /** the oldest block that this says anything about */
  reach: number;
}

function everyBlock(first: number, newest: number): Stretch {
  const reach = Math.max(first, newest - STRETCH_BLOCKS + 1);
  return { blocks: Array.from({ length: newest - reach + 1 }, (_, index) => newest - index), reach };
}

/** The blocks of the condition that reaches furthest back, and where the others reach as far those that have them too. */
async function newestStretch(
  db: Queryable,
  conditions: readonly Condition[],
  first: number,
  newest: number,
): Promise<Stretch> {
  const rows = await db.execute<{ term: string; block: number }>(sql`
    select t.term, b.block
      from unnest(${textArray(conditions.flat())}) as t(term)
     cross join lateral (
             select h.block from history_terms as h
              where h.term = t.term and h.block between ${first} and ${newest}
              order by h.block desc limit ${STRETCH_BLOCKS}) as b`);
  const blocksOf = Map.groupBy(rows, ({ term }) => term);
  const known = conditions.map((terms) => {
    const lists = terms.map((term) => (blocksOf.get(term) ?? []).map(({ block }) => block));
    const reaches = lists.map((list) => (list.length < STRETCH_BLOCKS ? first : Math.min(...list)));
    return { blocks: new Set(lists.flat()), reach: Math.max(...reaches) };
  });
  const [leading, ...others] = known.toSorted((a, b) => a.reach - b.reach);
  if (leading === undefined) return everyBlock(first, newest);
  const { reach } = leading;
  const blocks = [...leading.blocks].filter(
    (block) => block >= reach && others.every((other) => block < other.reach || other.blocks.has(block)),
  );
  return { blocks: blocks.sort((a, b) => b - a), reach };
}

const EVERY_PLACE = Array.from({ length: EVENTS_PER_BLOCK }, (_, place) => place);

async function seqsIn(
  db: Queryable,
  conditions: readonly Condition[],
  blocks: readonly number[],
): Promise<number[]> {
  const placesOf = await placesByTerm(db, conditions.flat(), blocks);
  return blocks.flatMap((block) => {
    const its = placesOf.get(block);
    const places = conditions.length === 0 ? EVERY_PLACE : its === undefined ? [] : matching(conditions, its);
    return places.map((place) => block * EVENTS_PER_BLOCK + place + 1).sort((a, b) => b - a);
  });
}

async function placesByTerm(
  db: Queryable,
  terms: readonly string[],
  blocks: readonly number[],
): Promise<Map<number, Map<string, Buffer>>> {
  const found = new Map<number, Map<string, Buffer>>();
  if (terms.length === 0) return found;
  const rows = await db.execute<{ term: string; block: number; places: Buffer }>(sql`
    select term, block, places from history_terms
     where term = any(${textArray(terms)})
       and block = any(${`{${blocks.join(",")}}`}::text::integer[])`);
  for (const { term, block, places } of rows) {
    const its = found.get(block) ?? new Map<string, Buffer>();
    its.set(term, places);
    found.set(block, its);
  }
  return found;
}

/** Places at which every condition holds; only those of the condition that has the fewest are looked at one by one. */
function matching(conditions: readonly Condition[], placesOf: ReadonlyMap<string, Buffer>): number[] {
  const [fewest, ...others] = conditions
    .map((terms) => terms.flatMap((term) => placesOf.get(term) ?? []))
    .sort((a, b) => countOf(a) - countOf(b));
  const places = new Set(fewest?.flatMap(readPlaces));
  return [...places].filter((place) => others.every((its) => its.some((bytes) => hasPlace(bytes, place))));
}

function countOf(places: readonly Buffer[]): number {
  return places.reduce((count, { length }) => count + length, 0);
}

function textArray(texts: readonly string[]) {
  return sql`array(select json_array_elements_text(${JSON.stringify(texts)}::text::json))`;
}
