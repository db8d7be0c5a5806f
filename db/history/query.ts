import { SluiceError } from "@sluice/proto/base/errors";
import { and, desc, gt, inArray, lt } from "drizzle-orm";
import type { Database } from "../connect.ts";
import { readHead } from "../log/read.ts";
import { type StoredEvent, selectStored, toStored } from "../log/stored-event.ts";
import { events } from "../schema/events.ts";
import { EVENTS_PER_BLOCK, readFilled } from "./blocks.ts";
import { type Condition, candidates } from "./candidates.ts";
import { byColumns, exactly, type HistoryFilter, mayHaveWords, termsAsked } from "./question.ts";
import { termsOf } from "./terms.ts";

/**
 * The history, newest first: what is in no block yet by looking through it, the rest by the blocks' index.
 *
 * 1. An event that was stored before the question is found, once, wherever it stands meanwhile.
 * 2. A page costs what it holds, not what the log holds.
 */
export interface HistoryQuestion extends HistoryFilter {
  /** The cursor: only what stands before this seq. */
  before?: number | undefined;
  /** Only what stands after this seq. */
  after?: number | undefined;
  /** 100 unless said, 1,000 at most. */
  limit?: number | undefined;
}

export interface HistoryPage {
  /** Newest first. */
  rows: StoredEvent[];
  /** `before` of the next page; absent on the last one. */
  next?: number;
}

/** Where candidates may not be meant after all. */
const ROWS_AT_ONCE = 200;
/** Looking through this many events takes a second. */
const MOST_OUTSIDE = 64 * EVENTS_PER_BLOCK;

type Reads = Pick<Database, "db">;

export async function queryHistory(database: Reads, question: HistoryQuestion): Promise<HistoryPage> {
  const limit = Math.min(Math.max(question.limit ?? 100, 1), 1_000);
  const found: StoredEvent[] = [];
  for await (const rows of search(database, question, limit + 1)) {
    found.push(...rows);
    if (found.length > limit) break;
  }
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return found.length > limit && last ? { rows, next: last.seq } : { rows };
}

async function* search(
  database: Reads,
  { before = Number.MAX_SAFE_INTEGER, after = 0, ...filter }: HistoryQuestion,
  wanted: number,
): AsyncGenerator<StoredEvent[]> {
  const conditions = termsAsked(filter);
  const filled = await readFilled(database);
  if (before > filled + 1) {
    await mustBeNear(database, filled);
    yield await outsideBlocks(database, conditions, filter, {
      before,
      after: Math.max(after, filled),
      wanted,
    });
  }
  if (Object.values(filter).every((value) => value === undefined)) {
    yield await newestIn(database, { before: Math.min(before, filled + 1), after, wanted });
    return;
  }
  const range = { from: after + 1, to: Math.min(before - 1, filled), since: filter.from, until: filter.to };
  const exact = exactly(filter);
  for await (const seqs of candidates(database.db, conditions, range)) {
    const step = exact === undefined ? wanted : ROWS_AT_ONCE;
    for (let start = 0; start < seqs.length; start += step) {
      const some = seqs.slice(start, start + step);
      const rows = await selectStored(database.db)
        .where(and(inArray(events.seq, some), exact))
        .orderBy(desc(events.seq))
        .limit(wanted);
      yield rows.map(toStored);
    }
  }
}

/** Where nothing is asked for, all are meant; of archived events most are gone, so their places aren't tried one by one. */
async function newestIn(
  { db }: Reads,
  { before, after, wanted }: { before: number; after: number; wanted: number },
): Promise<StoredEvent[]> {
  const rows = await selectStored(db)
    .where(and(gt(events.seq, after), lt(events.seq, before)))
    .orderBy(desc(events.seq))
    .limit(wanted);
  return rows.map(toStored);
}

async function outsideBlocks(
  { db }: Reads,
  conditions: readonly Condition[],
  filter: HistoryFilter,
  { before, after, wanted }: { before: number; after: number; wanted: number },
): Promise<StoredEvent[]> {
  const { text } = filter;
  const letters = text === undefined ? undefined : mayHaveWords(text);
  const query = selectStored(db)
    .where(and(gt(events.seq, after), lt(events.seq, before), byColumns(filter), letters))
    .orderBy(desc(events.seq));
  if (text === undefined) return (await query.limit(wanted)).map(toStored);
  const rows = (await query).map(toStored);
  return rows.filter((row) => {
    const terms = termsOf(row);
    return conditions.every((condition) => condition.some((term) => terms.has(term)));
  });
}

/** After an upgrade of a long log the index is made once, for minutes: then no question may read all of the log. */
async function mustBeNear({ db }: Reads, filled: number): Promise<void> {
  const { seq } = await readHead(db);
  if (seq - filled <= MOST_OUTSIDE) return;
  throw new SluiceError("UNAVAILABLE", `the history is being indexed: ${filled} of ${seq} events`, {
    cure: "ask again in some minutes",
  });
}
