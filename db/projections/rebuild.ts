import { SluiceError } from "@sluice/proto/base/errors";
import { getTableName, sql } from "drizzle-orm";
import type { Database, Sql, Tx } from "../connect.ts";
import { backOff, codeOf, isPassing } from "../faults.ts";
import { readStretch, type Stretch } from "../log/read.ts";
import type { StoredEvent } from "../log/stored-event.ts";
import type { Upcast } from "../log/upcast-events.ts";
import { type Logger, silent } from "../logger.ts";
import { applyPage, applySingly, type ProjectionStopped } from "./apply.ts";
import { lockCheckpoint, moveCheckpoint } from "./checkpoint.ts";
import type { Projection } from "./projection.ts";
import { makeShadow, shadowOf } from "./shadow.ts";

/**
 * Makes a projection's tables again, beside the live ones, from the first event on, and puts them in their place.
 *
 *   shadow schema:  empty copies ▸ page after page ▸ nearly at the head ─┐
 *   live schema:    read and kept up as ever ─────────── checkpoint held ┴ the last events ▸ swap ▸ goes on
 *
 * 1. Readers have the old rows until the moment of the swap, and then the new ones: one transaction, under locks that
 *    nobody waits for longer than SWAP_LOCK_MS.
 * 2. Live projecting goes on throughout and stands still only while the last page is applied and swapped.
 * 3. Whatever fails, the live tables stay as they were. What a rebuild that died has left is thrown away by the next.
 * 4. One at a time: a second is refused.
 *
 * The projection finds its tables by search_path, the shadow's first: it must never name a schema.
 */
export interface RebuildOptions {
  upcast: Upcast;
  /** Events per transaction. */
  batchSize?: number;
  /** instead of the log's rows alone, where some of it is archived */
  readStretch?: typeof readStretch;
  log?: Logger;
  signal?: AbortSignal;
  /** told after each page: up to which event, of how many */
  onProgress?: (seq: number, head: number) => void;
}

export interface Rebuilt {
  /** up to which the new tables are */
  seq: number;
  elapsedMs: number;
}

const SWAP_LOCK_MS = 100;
const SWAP_ATTEMPTS = 200;
/** Events; again each time there are four times as many. */
const ANALYZED_FROM = 4_000;

/** Throws REFUSED while another rebuilds it, ProjectionStopped at an event that can't be applied. */
export async function rebuild(
  database: Database,
  projection: Projection,
  options: RebuildOptions,
): Promise<Rebuilt> {
  const { upcast, batchSize = 2_000, log = silent, signal, onProgress } = options;
  const { readStretch: readOn = readStretch } = options;
  const began = performance.now();
  const shadow = shadowOf(database.schema, projection.name);
  const tables = projection.tables.map(getTableName);
  const only = await takeTurn(database, shadow, projection.name);
  try {
    await makeShadow(only, { shadow, live: database.schema, tables });
    await using behind = database.behind(shadow);
    let position = await catchUp(behind, 0);
    await analyze(only, shadow, tables);
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        position = await behind.db.transaction((tx) => swap(tx, position));
        break;
      } catch (error) {
        if (!isPassing(error)) await catchUp(behind, position); // tells which event it is
        if (codeOf(error) !== LOCK_NOT_AVAILABLE || attempt === SWAP_ATTEMPTS) throw error;
        await backOff(attempt, 500, signal);
      }
    }
    const elapsedMs = performance.now() - began;
    log.info({ projection: projection.name, seq: position, elapsedMs }, "rebuilt");
    return { seq: position, elapsedMs };
  } finally {
    await only.unsafe(`drop schema if exists ${shadow} cascade`).catch(() => {});
    await only.end({ timeout: 5 });
  }

  async function catchUp(behind: Database, from: number): Promise<number> {
    let analyzedAt = ANALYZED_FROM;
    for (let ahead = read(from); ; ) {
      signal?.throwIfAborted();
      const { events, upTo, newest, isLast } = await ahead;
      if (!isLast) ahead = read(upTo);
      await apply(behind, events);
      onProgress?.(upTo, newest);
      if (isLast) return upTo;
      if (upTo < analyzedAt) continue;
      await analyze(only, shadow, tables);
      analyzedAt = upTo * 4;
    }
  }

  /** Begun before the page is awaited, so its failure may come first. */
  function read(after: number): Promise<Stretch> {
    const stretch = readOn(database.db, { after, span: batchSize, types: projection.types });
    stretch.catch(() => {});
    return stretch;
  }

  async function apply({ db }: Database, page: readonly StoredEvent[]): Promise<void> {
    if (page.length === 0) return;
    const inOne = (work: (tx: Tx) => Promise<ProjectionStopped | undefined>) =>
      db.transaction(async (tx) => {
        await tx.execute(sql`set local synchronous_commit = off`);
        return await work(tx);
      });
    try {
      await inOne(async (tx) => {
        await applyPage(tx, projection, page, upcast);
        return undefined;
      });
    } catch (error) {
      if (isPassing(error)) throw error;
      const stoppedBy = await inOne((tx) => applySingly(tx, projection, page, upcast));
      if (stoppedBy) throw stoppedBy;
    }
  }

  async function swap(tx: Tx, from: number): Promise<number> {
    await tx.execute(sql.raw(`set local lock_timeout = ${SWAP_LOCK_MS}`));
    await lockCheckpoint(tx, projection.name);
    let position = from;
    for (let isLast = false; !isLast; ) {
      const page = await readOn(tx, { after: position, span: batchSize, types: projection.types });
      await applyPage(tx, projection, page.events, upcast);
      position = page.upTo;
      isLast = page.isLast;
    }
    const live = tables.map((table) => `${database.schema}.${table}`);
    await tx.execute(sql.raw(`lock table ${live.join(", ")} in access exclusive mode`));
    await tx.execute(sql.raw(`drop table ${live.join(", ")}`));
    for (const table of tables)
      await tx.execute(sql.raw(`alter table ${shadow}.${table} set schema ${database.schema}`));
    await moveCheckpoint(tx, projection.name, position);
    return position;
  }
}

/** So that statements find the rows by their indexes, and those that ask find tables that Postgres knows. */
async function analyze(only: Sql, shadow: string, tables: readonly string[]): Promise<void> {
  await only.unsafe(`analyze ${tables.map((table) => `${shadow}.${table}`).join(", ")}`);
}

const LOCK_NOT_AVAILABLE = "55P03";

/** A connection that holds the turn for as long as it lives. */
async function takeTurn(database: Database, shadow: string, name: string): Promise<Sql> {
  const only = database.client({ max: 1, name: "sluice rebuild", statementTimeoutMs: 0 });
  const [row] = await only<{ taken: boolean }[]>`
    select pg_try_advisory_lock(hashtextextended(${`sluice rebuild in ${shadow}`}, 0)) as taken`;
  if (row?.taken) return only;
  await only.end({ timeout: 5 });
  throw new SluiceError("REFUSED", `projection ${name} is being rebuilt already`, {
    cure: "wait until that rebuild has ended",
  });
}
