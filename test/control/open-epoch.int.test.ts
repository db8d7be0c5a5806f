import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { connect, type Database } from "@sluice/db/connect";
import { readAll } from "@sluice/db/log/read";
import { migrate } from "@sluice/db/migrate";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { type CommandResult, tryCommand } from "@sluice/infra/process/run-command";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What docs/operations.md has an operator run after a restore, as it is printed there. */
const main = fileURLToPath(new URL("../../services/control/main.ts", import.meta.url));
const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
const schema = `t_${randomUUID().replaceAll("-", "")}`;
let postgres: PostgresServer;
let database: Database;

beforeAll(async () => {
  postgres = await startPostgres();
  database = await connect(postgres.url, { schema });
  await migrate(database);
});
afterAll(async () => {
  if (database !== undefined) await database.sql`drop schema ${database.sql(schema)} cascade`;
  await database?.close();
  await postgres?.stop();
});

function printed(): string[][] {
  const lines = [...page.matchAll(/^ *DATABASE_URL=postgres:\/\/… sluice-control (open-epoch .*)$/gm)];
  return lines.map(([, words = ""]) =>
    (words.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1")),
  );
}

async function control(words: readonly string[]): Promise<CommandResult> {
  const env = { PATH: process.env.PATH, DATABASE_URL: postgres.url, LOG_LEVEL: "info" };
  const all = [main, ...words, "--schema", schema];
  return await tryCommand(process.execPath, all, { env, timeoutMs: 60_000 });
}

async function logged() {
  const all = [];
  for await (const { type, data, meta } of readAll(database.db))
    all.push({ type, data, actor: meta.actor, reason: meta.reason });
  return all;
}

test("the printed commands open the next epoch, and the one that is asked for, and freeze the fleet, with who and why in the log", async () => {
  const [next = [], later = [], ...more] = printed();
  expect(more).toEqual([]);
  for (const words of [next, later]) expect(await control(words)).toMatchObject({ code: 0 });
  const by = { actor: "admin", reason: "the disk of the database died" };
  expect(await logged()).toEqual([
    { type: "EpochOpened", data: { epoch: 2 }, ...by },
    { type: "FleetFrozen", data: {}, ...by },
    { type: "EpochOpened", data: { epoch: 3 }, actor: "admin", reason: "restored once more" },
  ]);
});

test.each([
  ["without a reason", ["open-epoch"], "open-epoch wants --reason WHY"],
  [
    "for an epoch that isn't above the last",
    ["open-epoch", "--epoch", "3", "--reason", "x"],
    "epoch 3 is open",
  ],
  ["with an option that isn't there", ["open-epoch", "--because", "x"], "  → sluice-control --help"],
  ["for what is no epoch", ["open-epoch", "--epoch", "x", "--reason", "x"], "--epoch x is no count"],
])("%s it ends with 1 and the reason, and stores nothing", async (_, words, said) => {
  const before = await logged();
  const { code, stdout, stderr } = await control(words);
  expect({ code, said: stdout + stderr }).toEqual({ code: 1, said: expect.stringContaining(said) });
  expect(await logged()).toEqual(before);
});
