import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { freshLog, newEvent, seqsOf } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const APPENDS = 20;

test("an append reads no event but its own, also with the plans that a connection made while the log was empty", async () => {
  await using log = await freshLog(server.url);
  for (let expected = 0; expected < APPENDS; expected++) {
    seqsOf(await log.appender.append({ stream: "a", expected, events: [newEvent()] }));
  }
  await log.appender.close(); // its session tells its statistics when it ends
  const scansOf = async (index: string) => {
    const [row] = await log.database.sql<{ scans: number }[]>`
      select idx_scan::integer as scans from pg_stat_user_indexes
       where schemaname = ${log.database.schema} and indexrelname = ${index}`;
    return row?.scans ?? 0;
  };
  await vi.waitFor(
    async () => expect(await scansOf("events_id_key")).toBeGreaterThanOrEqual(APPENDS),
    30_000,
  );
  const indexes = await log.database.sql<{ name: string }[]>`
    select indexname as name from pg_indexes where schemaname = ${log.database.schema} and tablename = 'events'`;
  expect(indexes.map(({ name }) => name).sort()).toEqual([
    "events_id_key",
    "events_pkey",
    "events_stream_stream_version_key",
  ]);
});
