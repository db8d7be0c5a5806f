import { connect, type Database } from "@sluice/db/connect";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

let server: PostgresServer;
let database: Database;
beforeAll(async () => {
  server = await startPostgres({ own: true });
  database = await connect(server.url, { schema: "public", max: 4 });
  await database.sql`create table marks (mark text primary key)`;
});
beforeEach(() => server.up());
afterAll(async () => {
  await database?.close();
  await server?.stop();
});

async function marks(): Promise<string[]> {
  const rows = await database.sql<{ mark: string }[]>`select mark from marks order by mark`;
  return rows.map(({ mark }) => mark);
}

test("what was done in a transaction is there after it, and nothing of one that failed", async () => {
  await database.sql.begin((tx) => tx`insert into marks values ('kept')`);
  const failing = database.sql.begin(async (tx) => {
    await tx`insert into marks values ('undone')`;
    throw new Error("changed my mind");
  });
  await expect(failing).rejects.toThrow("changed my mind");
  expect(await marks()).toEqual(["kept"]);
});

test("a transaction one of whose statements failed isn't said to be done, even if the failure was ignored", async () => {
  const hiding = database.sql.begin(async (tx) => {
    await tx`insert into marks values ('hidden')`;
    await tx`select 1 / 0`.catch(() => undefined);
  });
  await expect(hiding).rejects.toThrow("was undone");
  expect(await marks()).not.toContain("hidden");
});

test("a connection lost under a statement is that transaction's error, and the next one works", async () => {
  const hanging = Promise.withResolvers<void>();
  const cut = database.sql.begin(async (tx) => {
    await tx`insert into marks values ('cut')`;
    hanging.resolve();
    await tx`select pg_sleep(60)`;
  });
  const failed = expect(cut).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION_CLOSED|57P0/) });
  await hanging.promise;
  await server.restart({ crash: true });
  await failed;
  await database.sql.begin((tx) => tx`insert into marks values ('after')`);
  expect(await marks()).toEqual(["after", "kept"]);
});

test("a connection lost under several statements fails each of them, those that wait for the first as well", async () => {
  const hanging = Promise.withResolvers<void>();
  const fates: string[] = [];
  const cut = database.sql.begin(async (tx) => {
    await tx`insert into marks values ('cut too')`;
    const works = [tx`select pg_sleep(${60})`, tx`select ${1}::int`, tx.unsafe("select 2")];
    const ended = Promise.allSettled(works.map((work) => work.execute()));
    hanging.resolve();
    fates.push(...(await ended).map(({ status }) => status));
  });
  const failed = expect(cut).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION_CLOSED|57P0/) });
  await hanging.promise;
  await server.restart({ crash: true });
  await failed;
  expect(fates).toEqual(["rejected", "rejected", "rejected"]);
});

test("a connection lost between two statements: what is left of the transaction runs nowhere, and its end is waited for", async () => {
  const between = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let ended = false;
  const cut = database.sql.begin(async (tx) => {
    await tx`insert into marks values ('first')`;
    between.resolve();
    await goOn.promise;
    try {
      await tx`insert into marks values ('second')`;
    } finally {
      ended = true;
    }
  });
  const failed = expect(cut).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
  await between.promise;
  await server.restart({ crash: true });
  // others take connections meanwhile
  await Promise.all(
    Array.from({ length: 4 }, (_, i) =>
      database.sql.begin((tx) => tx`insert into marks values (${`m${i}`})`),
    ),
  );
  goOn.resolve();
  await failed;
  expect(ended).toBe(true);
  expect(await marks()).toEqual(expect.arrayContaining(["m0", "m1", "m2", "m3"]));
  expect(await marks()).not.toContain("first");
  expect(await marks()).not.toContain("second");
});

test("under a crash every one of many transactions ends, and no half of one stays", async () => {
  await server.down({ crash: true });
  await expect(database.sql.begin((tx) => tx`select 1`)).rejects.toMatchObject({
    code: expect.any(String),
  });
  await server.up();
  let stop = false;
  async function writer(name: number): Promise<void> {
    for (let turn = 0; !stop; turn += 1) {
      const mark = `${name}.${turn}`;
      await database.sql
        .begin(async (tx) => {
          await tx`insert into marks values (${`a ${mark}`})`;
          await tx`insert into marks values (${`b ${mark}`})`;
        })
        .catch(() => undefined);
    }
  }
  const writing = Promise.all(Array.from({ length: 12 }, (_, name) => writer(name)));
  for (let crash = 0; crash < 3; crash += 1) {
    const before = (await marks()).length;
    while ((await marks()).length < before + 100) await new Promise(setImmediate);
    await server.restart({ crash: true });
    while (!(await database.sql`select 1`.catch(() => undefined))) await new Promise(setImmediate);
  }
  stop = true;
  await writing;
  const halves = (await marks()).filter((mark) => /^[ab] /.test(mark)).map((mark) => mark.slice(2));
  const counts = new Map<string, number>();
  for (const half of halves) counts.set(half, (counts.get(half) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count !== 2)).toEqual([]);
});
