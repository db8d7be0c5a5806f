import { sql } from "drizzle-orm";
import type { Queryable } from "../connect.ts";
import { EVENTS_PER_BLOCK, readPlaces } from "./blocks.ts";

/**
 * Which events of the blocks a question may mean, newest first.
 *
 * 1. A question is conditions that must all hold; a condition is terms of which one must stand in the event.
 * 2. The rarest condition leads: where it stands in few blocks, no other block is looked at. Where none is rare, the
 *    first blocks that are looked at hold a page already; the further back, the more of them at once.
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

/** A condition that stands in more blocks isn't rare. */
const RARE_BLOCKS = 256;
/** A condition of more terms isn't asked whether it is rare. */
const FEW_TERMS = 8;
const FIRST_CHUNK = 4;
const LARGEST_CHUNK = 1024;

/** Descending seqs, some at a time; never an empty some. */
export async function* candidates(
  db: Queryable,
  conditions: readonly Condition[],
  range: Range,
): AsyncGenerator<number[]> {
  if (range.to < range.from || conditions.some(({ length }) => length === 0)) return;
  const blocks = await blocksToLookAt(db, conditions, range);
  for (let start = 0, size = FIRST_CHUNK; start < blocks.length; size = Math.min(size * 4, LARGEST_CHUNK)) {
    const chunk = blocks.slice(start, start + size);
    start += size;
    const found = await seqsIn(db, conditions, chunk);
    const within = found.filter((seq) => seq >= range.from && seq <= range.to);
    if (within.length > 0) yield within;
  }
}

async function blocksToLookAt(
  db: Queryable,
  conditions: readonly Condition[],
  range: Range,
): Promise<number[]> {
  const first = Math.floor((range.from - 1) / EVENTS_PER_BLOCK);
  const last = Math.floor((range.to - 1) / EVENTS_PER_BLOCK);
  const [rare, timed] = await Promise.all([
    rareBlocks(db, conditions, first, last),
    range.since === undefined && range.until === undefined ? undefined : timedBlocks(db, range, first, last),
  ]);
  const leading = rare ?? timed ?? Array.from({ length: last - first + 1 }, (_, index) => last - index);
  if (rare === undefined || timed === undefined) return leading;
  const inTime = new Set(timed);
  return rare.filter((block) => inTime.has(block));
}

/** The blocks in which all rare conditions stand, newest first; undefined where none is rare. */
async function rareBlocks(
  db: Queryable,
  conditions: readonly Condition[],
  first: number,
  last: number,
): Promise<number[] | undefined> {
  const asked = conditions.filter(({ length }) => length <= FEW_TERMS);
  if (asked.length === 0) return undefined;
  const rows = await db.execute<{ term: string; block: number }>(sql`
    select t.term, b.block
      from unnest(${textArray(asked.flat())}) as t(term)
     cross join lateral (
             select h.block from history_terms as h
              where h.term = t.term and h.block between ${first} and ${last}
              order by h.block desc limit ${RARE_BLOCKS + 1}) as b`);
  const blocksOf = Map.groupBy(rows, ({ term }) => term);
  const rare = asked
    .map((terms) => terms.map((term) => blocksOf.get(term) ?? []))
    .filter((lists) => lists.every(({ length }) => length <= RARE_BLOCKS))
    .map((lists) => new Set(lists.flat().map(({ block }) => block)));
  const [fewest, ...others] = rare.sort((a, b) => a.size - b.size);
  if (fewest === undefined) return undefined;
  return [...fewest].filter((block) => others.every((other) => other.has(block))).sort((a, b) => b - a);
}

async function timedBlocks(
  db: Queryable,
  { since, until }: Range,
  first: number,
  last: number,
): Promise<number[]> {
  const rows = await db.execute<{ block: number }>(sql`
    select block from history_blocks
     where block between ${first} and ${last}
       and last_at >= coalesce(${since ?? null}::text::timestamptz, '-infinity')
       and first_at <= coalesce(${until ?? null}::text::timestamptz, 'infinity')
     order by block desc`);
  return rows.map(({ block }) => block);
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
): Promise<Map<number, Map<string, number[]>>> {
  const found = new Map<number, Map<string, number[]>>();
  if (terms.length === 0) return found;
  const rows = await db.execute<{ term: string; block: number; places: Buffer }>(sql`
    select term, block, places from history_terms
     where term = any(${textArray(terms)})
       and block = any(${`{${blocks.join(",")}}`}::text::integer[])`);
  for (const { term, block, places } of rows) {
    const its = found.get(block) ?? new Map<string, number[]>();
    its.set(term, readPlaces(places));
    found.set(block, its);
  }
  return found;
}

/** Places at which every condition holds. */
function matching(
  conditions: readonly Condition[],
  placesOf: ReadonlyMap<string, readonly number[]>,
): number[] {
  const sets = conditions.map((terms) => new Set(terms.flatMap((term) => placesOf.get(term) ?? [])));
  const [fewest, ...others] = sets.sort((a, b) => a.size - b.size);
  return [...(fewest ?? [])].filter((place) => others.every((other) => other.has(place)));
}

function textArray(texts: readonly string[]) {
  return sql`array(select json_array_elements_text(${JSON.stringify(texts)}::text::json))`;
}
