import { connect, type Database } from "@sluice/db/connect";
import { EVENTS_PER_BLOCK } from "@sluice/db/history/blocks";
import { readEvidence } from "@sluice/db/log/evidence";
import { readPage, readStretch } from "@sluice/db/log/read";
import { migrate } from "@sluice/db/migrate";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { EVENT_TYPES } from "@sluice/proto/events/event";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FleetYear, fillFleetYear } from "./fleet-year/fill.ts";
import { questionsOf } from "./fleet-year/questions.ts";

/**
 * What a question reads, on a log of 200,000 events: no table whole, and no more rows than a page needs. Rows, not times:
 * those are the benchmark's (`npm run bench audit-size`).
 */
const EVENTS = 200_000;
/** what isn't in blocks yet, and about one block: the same on any size of log */
const MOST_EVENTS = 2 * EVENTS_PER_BLOCK;
const MOST_TERM_ROWS = 4_000;
/** for a page of servers, or for all that one server had proven to hold */
const MOST_ASSIGNMENTS = 500;
const TABLES = [
  "events",
  "personal",
  "history_terms",
  "assignments",
  "policy_servers",
  "list_spans",
  "list_revisions",
  "server_labels",
];

let server: PostgresServer;
let database: Database;
let year: FleetYear;
beforeAll(async () => {
  server = await startPostgres({ own: true, settings: { fsync: "off" } });
  // one connection: what it read is told by the connection itself
  database = await connect(server.url, { max: 1 });
  await migrate(database);
  year = await fillFleetYear(database, { events: EVENTS });
}, 600_000);
afterAll(async () => {
  await database?.close();
  await server?.stop();
});

async function readSoFar(): Promise<Map<string, { scans: number; rows: number }>> {
  await database.sql`select pg_stat_force_next_flush()`;
  await database.sql`select pg_stat_clear_snapshot()`;
  const rows = await database.sql<{ name: string; scans: number; rows: number }[]>`
    select relname as name, seq_scan::integer as scans, (coalesce(idx_tup_fetch, 0) + seq_tup_read)::integer as rows
      from pg_stat_user_tables where relname = any(${TABLES}::text[])`;
  return new Map(rows.map(({ name, ...read }) => [name, read]));
}

test("no question reads a table whole, or more of the log than its page", async () => {
  for (const { name, prepare } of questionsOf(database, year)) {
    const ask = await prepare();
    const before = await readSoFar();
    expect(await ask(), name).toBeGreaterThanOrEqual(0);
    const after = await readSoFar();
    const read = (table: string, what: "scans" | "rows") =>
      (after.get(table)?.[what] ?? 0) - (before.get(table)?.[what] ?? 0);
    for (const table of TABLES) expect.soft(read(table, "scans"), `${name}: ${table} whole`).toBe(0);
    expect.soft(read("events", "rows"), `${name}: events`).toBeLessThan(MOST_EVENTS);
    expect.soft(read("history_terms", "rows"), `${name}: terms`).toBeLessThan(MOST_TERM_ROWS);
    expect.soft(read("assignments", "rows"), `${name}: assignments`).toBeLessThan(MOST_ASSIGNMENTS);
  }
});

test("a page from the middle of the log reads no more than the page", async () => {
  const { db } = database;
  const after = EVENTS / 2;
  const readers = {
    readPage: () => readPage(db, after, 500),
    readStretch: () => readStretch(db, { after, span: 500, types: EVENT_TYPES }),
    readEvidence: () => readEvidence(db, after, 500),
  };
  for (const [name, read] of Object.entries(readers)) {
    await read();
    const before = await readSoFar();
    await read();
    const now = await readSoFar();
    for (const table of ["events", "personal"])
      expect
        .soft((now.get(table)?.rows ?? 0) - (before.get(table)?.rows ?? 0), `${name}: ${table}`)
        .toBe(500);
  }
});
