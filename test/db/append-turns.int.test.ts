import { Appender } from "@sluice/db/log/append";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { appendAll, freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test("processes get the head in the order in which they ask: one that has more to store waits behind those that wait", async () => {
  await using log = await freshLog(server.url);
  await using first = new Appender(log.database);
  await using busy = new Appender(log.database, { maxCommands: 4 });
  await using last = new Appender(log.database);
  const release = await holdHead(log);

  const firsts = appendAll(first, "first", [newEvent()]);
  await waitersForHead(log, 1);
  const busys = Promise.all(Array.from({ length: 12 }, (_, i) => appendAll(busy, `busy-${i}`, [newEvent()])));
  await waitersForHead(log, 2);
  const lasts = appendAll(last, "last", [newEvent()]);
  await waitersForHead(log, 3);
  await release();

  expect(await firsts).toEqual([1]);
  expect((await busys).flat()).toEqual([2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(await lasts).toEqual([6]);
});

test("while many processes append all the time, each gets its share of batches, and one caller its turn", async () => {
  await using log = await freshLog(server.url);
  const busy = [new Appender(log.database), new Appender(log.database), new Appender(log.database)];
  let stop = false;
  async function keepAppending(appender: Appender, stream: string) {
    for (let version = 0; !stop; version += 1) await appendAll(appender, stream, [newEvent()], version);
  }
  try {
    const writing = Promise.all(
      busy.flatMap((appender, n) =>
        Array.from({ length: 20 }, (_, i) => keepAppending(appender, `${n} ${i}`)),
      ),
    );
    for (let version = 0; version < 40; version += 1)
      await appendAll(log.appender, "lone", [newEvent()], version);
    stop = true;
    await writing;
  } finally {
    stop = true;
    await Promise.all(busy.map((appender) => appender.close()));
  }
  // a batch is a transaction
  const batches = await log.database.sql<{ who: string }[]>`
    select min(split_part(stream, ' ', 1)) as who from events group by xmin::text order by min(seq)`;
  const firstLone = batches.findIndex(({ who }) => who === "lone");
  const together = batches.slice(firstLone, batches.findLastIndex(({ who }) => who === "lone") + 1);
  for (const who of ["lone", "0", "1", "2"])
    expect(longestWait(together, who)).toBeLessThanOrEqual(MOST_BETWEEN);
});

/** With four that append, three is what each must wait; the rest is for when one is kept from its processor. */
const MOST_BETWEEN = 20;

function longestWait(batches: readonly { who: string }[], who: string): number {
  let longest = 0;
  let since = 0;
  for (const batch of batches) {
    since = batch.who === who ? 0 : since + 1;
    longest = Math.max(longest, since);
  }
  return longest;
}

async function holdHead({ database }: LogFixture): Promise<() => Promise<void>> {
  const holder = await database.sql.reserve();
  await holder`begin`;
  await holder`select pg_advisory_xact_lock('head'::regclass::bigint)`;
  return async () => {
    await holder`commit`;
    holder.release();
  };
}

async function waitersForHead({ database }: LogFixture, count: number): Promise<void> {
  await vi.waitFor(async () => {
    const waiting = await database.sql`
      select from pg_locks where locktype = 'advisory' and not granted and objid = 'head'::regclass
         and database = (select oid from pg_database where datname = current_database())`;
    expect(waiting).toHaveLength(count);
  }, 60_000);
}
