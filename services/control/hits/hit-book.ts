import type { Database } from "@sluice/db/connect";
import { ruleHitTable } from "@sluice/db/schema/hits";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Hits } from "@sluice/proto/wire/hits";
import { and, eq, lt, sql } from "drizzle-orm";

/**
 * Keeps what servers say that their rules matched.
 *
 * 1. `record` resolves when it is in the database, and throws where it can't be: the server says it again.
 * 2. One statement at a time, whatever comes: what arrives meanwhile waits for the next one, and beyond a bound it is
 *    refused. A fleet that counts a storm costs one connection.
 * 3. Sums never fall. What is told again, late or twice changes nothing; a counter that began anew is added on top.
 * 4. Of each policy on each server the last revisions are kept.
 */
export interface HitBook {
  record(hits: Hits, at: string): Promise<void>;
}

type Row = typeof ruleHitTable.$inferInsert;

interface Waiting {
  rows: Row[];
  resolve(): void;
  reject(error: unknown): void;
}

const ROWS_AT_ONCE = 2_000;
const ROWS_WAITING = 200_000;
const REVISIONS_KEPT = 20;

export function createHitBook(database: Database): HitBook {
  const waiting: Waiting[] = [];
  let rowsWaiting = 0;
  let running = false;

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const batch = nextBatch();
      const rows = batch.flatMap((one) => one.rows);
      rowsWaiting -= rows.length;
      try {
        await keep(database, highest(rows));
        for (const one of batch) one.resolve();
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    running = false;
  }

  /** Sums of one counter are met by the highest; another counter's wait for the next statement. */
  function nextBatch(): Waiting[] {
    const counters = new Map<string, string>();
    const end = waiting.findIndex(({ rows }) => {
      const isOther = rows.some((row) => (counters.get(keyOf(row)) ?? row.counter) !== row.counter);
      if (isOther || (counters.size > 0 && counters.size + rows.length > ROWS_AT_ONCE)) return true;
      for (const row of rows) counters.set(keyOf(row), row.counter);
      return false;
    });
    return waiting.splice(0, end === -1 ? waiting.length : end);
  }

  return {
    record(hits, at) {
      const rows = rowsOf(hits, at);
      if (rowsWaiting + rows.length > ROWS_WAITING)
        return Promise.reject(new SluiceError("UNAVAILABLE", "too many counts are waiting"));
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ rows, resolve, reject });
      rowsWaiting += rows.length;
      if (!running) void run();
      return promise;
    },
  };
}

function rowsOf({ server, policy, revision, since, counter, counts }: Hits, at: string): Row[] {
  return counts.map(({ path, observed, packets, bytes }) => ({
    ...{ policy, revision, server, path, observed, packets, bytes, since, at, counter },
    ...{ toldPackets: packets, toldBytes: bytes },
  }));
}

/** Each row once, as far as its counter has come. */
function highest(rows: readonly Row[]): Row[] {
  const kept = new Map<string, Row>();
  for (const row of rows) {
    const before = kept.get(keyOf(row));
    if (before === undefined || before.toldPackets <= row.toldPackets) kept.set(keyOf(row), row);
  }
  return [...kept.values()];
}

function keyOf({ policy, revision, server, path, observed }: Row): string {
  return JSON.stringify([policy, revision, server, path, observed]);
}

async function keep({ db }: Database, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const gained = (told: string) =>
    sql.raw(`case when rule_hits.counter = excluded.counter
      then greatest(excluded.${told} - rule_hits.${told}, 0) else excluded.${told} end`);
  const told = (column: string) =>
    sql.raw(`case when rule_hits.counter = excluded.counter
      then greatest(excluded.${column}, rule_hits.${column}) else excluded.${column} end`);
  await db.transaction(async (tx) => {
    const kept = await tx
      .insert(ruleHitTable)
      .values([...rows])
      .onConflictDoUpdate({
        target: [
          ruleHitTable.policy,
          ruleHitTable.revision,
          ruleHitTable.server,
          ruleHitTable.path,
          ruleHitTable.observed,
        ],
        set: {
          packets: sql`${ruleHitTable.packets} + ${gained("told_packets")}`,
          bytes: sql`${ruleHitTable.bytes} + ${gained("told_bytes")}`,
          since: sql`least(${ruleHitTable.since}, excluded.since)`,
          at: sql`excluded.at`,
          toldPackets: told("told_packets"),
          toldBytes: told("told_bytes"),
          counter: sql`excluded.counter`,
        },
      })
      .returning({
        policy: ruleHitTable.policy,
        server: ruleHitTable.server,
        revision: ruleHitTable.revision,
      });
    const newest = new Map(kept.map((row) => [`${row.policy} ${row.server}`, row]));
    for (const { policy, server, revision } of newest.values())
      if (revision > REVISIONS_KEPT)
        await tx
          .delete(ruleHitTable)
          .where(
            and(
              eq(ruleHitTable.policy, policy),
              eq(ruleHitTable.server, server),
              lt(ruleHitTable.revision, revision - REVISIONS_KEPT),
            ),
          );
  });
}
