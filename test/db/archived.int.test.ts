import { EVENTS_PER_BLOCK, fillBlocks, readFilled } from "@sluice/db/history/blocks";
import type { HistoryQuestion } from "@sluice/db/history/query";
import { queryHistory } from "@sluice/db/history/query";
import { dropBatch, readArchived, recordArchived } from "@sluice/db/log/archived";
import { readAll } from "@sluice/db/log/read";
import { growTree } from "@sluice/db/log/tree";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { keptDigest } from "@sluice/proto/wire/archive";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appendAll, collect, freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

const EVENTS = 2 * EVENTS_PER_BLOCK + 10;
const UP_TO = EVENTS_PER_BLOCK + 100;
/** Two of the first block, one of the second; what comes after is not archived. */
const KEPT = [3, 700, EVENTS_PER_BLOCK + 50];
let server: PostgresServer;
let log: LogFixture;

beforeAll(async () => {
  server = await startPostgres();
  log = await freshLog(server.url);
  const events = Array.from({ length: EVENTS }, (_, n) =>
    newEvent({ type: "ListChanged", reason: `because${n + 1}`, keys: { list: "bans" } }),
  );
  for (let start = 0; start < EVENTS; start += 500)
    await appendAll(log.appender, "list-bans", events.slice(start, start + 500), start);
  await fillBlocks(log.database);
  await growTree(log.database);
  const data = { to: UP_TO, keptDigest: keptDigest(KEPT) };
  const [eventSeq = 0] = await appendAll(log.appender, "log", [newEvent({ type: "LogArchived", data })]);
  await recordArchived(log.database.db, { eventSeq, upTo: UP_TO, kept: KEPT });
  while (await dropBatch(log.database)) expect((await readArchived(log.database.db)).droppedTo).toBe(UP_TO);
});
afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await server?.stop();
});

async function seqs(question: HistoryQuestion): Promise<number[]> {
  return (await queryHistory(log.database, { limit: 1_000, ...question })).rows.map(({ seq }) => seq);
}

test("what is dropped is gone with its words; what stayed, and what isn't archived, is found as before", async () => {
  const left = (await collect(readAll(log.database.db))).map(({ seq }) => seq);
  expect(left).toEqual([...KEPT, ...Array.from({ length: EVENTS - UP_TO + 1 }, (_, n) => UP_TO + 1 + n)]);
  const { sql } = log.database;
  expect(await sql`select from personal where reason = 'because4'`).toHaveLength(0);
  const words = ["because3", "because4", `because${UP_TO}`, `because${UP_TO + 1}`];
  const found = await sql<{ term: string }[]>`
    select term from history_terms where term = any(${words.map((word) => `=${word}`)}) order by term`;
  expect(found.map(({ term }) => term)).toEqual([`=because${UP_TO + 1}`, "=because3"].sort());
  for (const question of [{}, { list: "bans" }, { from: "2020-01-01T00:00:00.000Z" }])
    expect((await seqs({ before: UP_TO + 3, ...question })).slice(0, 5)).toEqual([
      UP_TO + 2,
      UP_TO + 1,
      ...KEPT.toReversed(),
    ]);
  expect(await seqs({ text: "because700" })).toEqual([700]);
});

test("blocks that are filled only after their events were dropped are filled by their places", async () => {
  const { sql } = log.database;
  const terms = () => sql`select * from history_terms order by term, block`;
  const before = [...(await terms())];
  await sql`delete from history_terms`;
  await sql`delete from history_blocks`;
  await sql`update checkpoints set position = 0 where name = 'history'`;
  await fillBlocks(log.database);
  expect(await readFilled(log.database)).toBe(2 * EVENTS_PER_BLOCK);
  expect([...(await terms())]).toEqual(before);
});
