import { connect } from "@sluice/db/connect";
import { Appender, OutcomeUnknown } from "@sluice/db/log/append";
import { follow } from "@sluice/db/log/follow";
import { readAll, readHead } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startProxy } from "./cuttable-proxy.ts";
import { appendAll, collect, freshLog, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ own: true });
});
beforeEach(() => server.up());
afterAll(() => server.stop());

describe("connecting", () => {
  test("waits until Postgres is there", async () => {
    await server.down();
    const waits = Promise.withResolvers<void>();
    const log = { info: () => {}, warn: () => waits.resolve() };
    const connecting = connect(server.url, { schema: "public", log });
    await waits.promise;
    await server.up();
    await using database = await connecting;
    expect(await database.sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  test("gives up when told to, and at once where waiting can't help", async () => {
    const url = new URL(server.url);
    url.password = "wrong";
    await expect(connect(url.href)).rejects.toThrow("Postgres refuses the connection");
    await server.down();
    await expect(connect(server.url, { waitMs: 200 })).rejects.toThrow("didn't answer within 200 ms");
    const aborted = connect(server.url, { signal: AbortSignal.timeout(200) });
    await expect(aborted).rejects.toMatchObject({ name: expect.stringMatching(/AbortError|TimeoutError/) });
  });
});

describe("appending", () => {
  test("through crashes of Postgres, what was acknowledged is there exactly once, in one whole chain", async () => {
    await using log = await freshLog(server.url);
    const { db } = log.database;
    const acknowledged = new Map<string, number>();
    let stop = false;

    async function writer(index: number) {
      for (let version = 0; !stop; version += 1) {
        const event = newEvent();
        const [seq = 0] = await appendAll(log.appender, `s-${index}`, [event], version);
        acknowledged.set(event.id, seq);
      }
    }
    const writing = Promise.all(Array.from({ length: 16 }, (_, index) => writer(index)));
    for (let crash = 0; crash < 3; crash += 1) {
      const before = acknowledged.size;
      while (acknowledged.size < before + 200) await new Promise(setImmediate);
      await server.restart({ crash: true });
    }
    stop = true;
    await writing;

    const stored = await collect(readAll(db));
    expect(new Map(stored.map(({ id, seq }) => [id, seq]))).toEqual(acknowledged);
    expect(await verify(db)).toMatchObject({ events: acknowledged.size, findings: [] });
  });

  test("a command that never reached Postgres is told so, not that its outcome is unknown", async () => {
    await using log = await freshLog(server.url);
    await using appender = new Appender(log.database, { decideWithinMs: 300 });
    await server.down();
    const failed = await appender
      .append({ stream: "a", expected: 0, events: [newEvent()] })
      .catch((error) => error);
    await server.up();
    expect(failed).not.toBeInstanceOf(OutcomeUnknown);
    expect(failed).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("was not stored") });
    expect((await readHead(log.database.db)).seq).toBe(0);
  });

  test("a command cut off under way is of unknown outcome while Postgres stays away; sent again it is stored once", async () => {
    await using log = await freshLog(server.url);
    await using appender = new Appender(log.database, { decideWithinMs: 400 });
    const { sql, db } = log.database;
    const command = { stream: "a", expected: 0, events: [newEvent()] };
    const holder = await sql.reserve();
    await holder`begin`;
    await holder`select from head for update`;
    const cutOff = appender.append(command).catch((error) => error);
    for (let waiting = 0; waiting === 0; ) {
      const [row] =
        await sql`select count(*) from pg_stat_activity where application_name = 'sluice-append' and wait_event_type = 'Lock'`;
      waiting = row?.count;
    }
    await server.down({ crash: true });
    expect(await cutOff).toBeInstanceOf(OutcomeUnknown);
    await server.up();
    expect(await appender.append(command)).toMatchObject({ outcome: "stored", seqs: [1] });
    expect(await appender.append(command)).toMatchObject({ outcome: "stored", seqs: [1], repeated: true });
    expect((await readHead(db)).seq).toBe(1);
  });

  test("an answer lost with its connection is asked for again by itself: stored once", async () => {
    await using log = await freshLog(server.url);
    await using proxy = await startProxy(server.url);
    await using database = await connect(proxy.url, { schema: log.database.schema });
    await using appender = new Appender(database);
    await appendAll(appender, "warm", [newEvent()]);
    const lost = proxy.loseAnswers();
    const appending = appender.append({ stream: "a", expected: 0, events: [newEvent(), newEvent()] });
    await lost;
    proxy.cut();
    expect(await appending).toEqual({ outcome: "stored", seqs: [2, 3], version: 2, repeated: true });
    expect(await verify(log.database.db)).toMatchObject({ events: 3, findings: [] });
  });

  test("a connection that hangs is given up, and the command decided on another", async () => {
    await using log = await freshLog(server.url);
    await using proxy = await startProxy(server.url);
    await using database = await connect(proxy.url, { schema: log.database.schema });
    const retries = Promise.withResolvers<void>();
    const logger = { info: () => {}, warn: () => retries.resolve() };
    await using appender = new Appender(database, { attemptTimeoutMs: 3_000, log: logger });
    await appendAll(appender, "warm", [newEvent()]);
    void proxy.loseAnswers();
    const appending = appender.append({ stream: "a", expected: 0, events: [newEvent()] });
    await retries.promise;
    proxy.cut();
    expect(await appending).toEqual({ outcome: "stored", seqs: [2], version: 1, repeated: true });
  });

  test("closing lets what waits be decided, and takes no more", async () => {
    await using log = await freshLog(server.url);
    const appending = Promise.all(
      Array.from({ length: 100 }, (_, i) => appendAll(log.appender, `s-${i}`, [newEvent()])),
    );
    await new Promise(setImmediate);
    await log.appender.close();
    expect((await appending).flat()).toHaveLength(100);
    await expect(appendAll(log.appender, "late", [newEvent()])).rejects.toThrow("nothing was stored");
  });
});

test("a follower goes on after a restart of Postgres, woken as before", async () => {
  await using log = await freshLog(server.url);
  const ends = new AbortController();
  const seen: number[] = [];
  let called = () => {};
  const following = follow(
    log.database,
    async () => {
      for await (const { seq } of readAll(log.database.db, { after: seen.at(-1) ?? 0 })) seen.push(seq);
      called();
    },
    { signal: ends.signal, pollMs: 3_600_000 },
  );
  async function until(seq: number) {
    while (seen.at(-1) !== seq) {
      await new Promise<void>((resolve) => {
        called = resolve;
      });
    }
  }
  await appendAll(log.appender, "a", [newEvent()]);
  await until(1);
  await server.restart({ crash: true });
  await appendAll(log.appender, "a", [newEvent()], 1);
  await until(2);
  await appendAll(log.appender, "a", [newEvent()], 2);
  await until(3);
  ends.abort();
  await following;
  expect(seen).toEqual([1, 2, 3]);
});
