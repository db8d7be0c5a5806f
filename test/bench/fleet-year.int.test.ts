import { fillBlocks } from "@sluice/db/history/blocks";
import { readAll } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import { Projector } from "@sluice/db/projections/projector";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { upcast } from "@sluice/proto/events/upcast";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshLog, type LogFixture } from "../db/log-fixture.ts";
import { type FleetYear, fillFleetYear } from "./fleet-year/fill.ts";
import { questionsOf } from "./fleet-year/questions.ts";

const EVENTS = 2_500;
const TABLES = [
  ...["policies", "policy_revisions", "servers", "assignments", "policy_servers", "rollouts"],
  ...["lists", "list_revisions", "list_spans", "server_labels"],
];

let server: PostgresServer;
let log: LogFixture;
let year: FleetYear;
beforeAll(async () => {
  server = await startPostgres();
  log = await freshLog(server.url);
  year = await fillFleetYear(log.database, { events: EVENTS });
});
afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await server?.stop();
});

test("a made-up year is a log like any other: chained, canonical, readable, of policies that parse", async () => {
  const { database } = log;
  expect(await verify(database.db)).toMatchObject({ events: EVENTS, findings: [] });
  for (const { body } of await database.sql<{ body: string }[]>`select body from events`)
    if (canonicalJson(JSON.parse(body)) !== body) expect.fail(body);
  for await (const { type, schemaVersion, data } of readAll(database.db)) {
    const event = upcast(type, schemaVersion, data);
    if (event?.type === "PolicyRevised") expect(parsePolicy(event.data.text)).toMatchObject({ ok: true });
  }
});

test("a policy is asked for at times when there was one, however small the year", async () => {
  const asked = questionsOf(log.database, year).find(({ name }) => name === "as of, one policy");
  for (let count = 0; count < 20; count += 1) {
    const ask = await asked?.prepare();
    expect(await ask?.()).toBeGreaterThanOrEqual(0);
  }
});

test("its tables are those that the projections make of its events", async () => {
  const { database } = log;
  const all = () =>
    Promise.all(
      TABLES.map(async (table) => {
        const rows =
          await database.sql`select * from ${database.sql(table)} as t order by t::text collate "C"`;
        return [table, [...rows]];
      }),
    );
  const filled = await all();
  for (const table of [...control.tables, ...past.tables]) await database.db.delete(table);
  await database.sql`update checkpoints set position = 0 where name in ('control', 'past')`;
  await new Projector(database, { projections: [control, past], upcast, batchSize: 1_000 }).catchUp();
  for (const [index, [table, rows]] of (await all()).entries())
    expect.soft(filled[index]?.[1], String(table)).toEqual(rows);
});

test("its history is indexed as the follower of the log indexes it", async () => {
  const { database } = log;
  const indexed = () => database.sql`select * from history_terms order by term, block`;
  const blocks = () => database.sql`select * from history_blocks order by block`;
  const filled = [[...(await indexed())], [...(await blocks())]];
  await database.sql`truncate history_terms, history_blocks`;
  await database.sql`update checkpoints set position = 0 where name = 'history'`;
  await fillBlocks(database);
  expect([[...(await indexed())], [...(await blocks())]]).toEqual(filled);
  expect(filled[1]).toHaveLength(Math.floor(EVENTS / 1024));
});
