import { follow } from "@sluice/db/log/follow";
import { readAll, readHead, readStream } from "@sluice/db/log/read";
import { upcastEvents } from "@sluice/db/log/upcast-events";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { upcast } from "@sluice/proto/events/upcast";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appendAll, collect, freshLog, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

describe("reading the log", () => {
  test("a reader that follows by position sees each event once and in order while writers run", async () => {
    await using log = await freshLog(server.url);
    const total = 40 * 15;
    const seen: number[] = [];
    const ends = new AbortController();
    const following = follow(
      log.database,
      async () => {
        for await (const { seq } of readAll(log.database.db, { after: seen.at(-1) ?? 0, pageSize: 7 }))
          seen.push(seq);
        if (seen.length >= total) ends.abort();
      },
      { signal: ends.signal },
    );
    async function writer(index: number) {
      for (let n = 0; n < 15; n += 1) await appendAll(log.appender, `s-${index}`, [newEvent()], n);
    }
    await Promise.all([following, ...Array.from({ length: 40 }, (_, index) => writer(index))]);
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  });

  test("an append wakes a follower long before it polls, and another schema's append doesn't", async () => {
    await using log = await freshLog(server.url);
    await using other = await freshLog(server.url);
    const ends = new AbortController();
    const calls: number[] = [];
    let called = () => {};
    const following = follow(
      log.database,
      async () => {
        calls.push((await readHead(log.database.db)).seq);
        called();
      },
      { signal: ends.signal, pollMs: 3_600_000 },
    );
    async function until(seq: number) {
      while (calls.at(-1) !== seq) {
        await new Promise<void>((resolve) => {
          called = resolve;
        });
      }
    }
    // listening may begin after the first call, and calls once more then
    await appendAll(log.appender, "a", [newEvent()]);
    await until(1);
    await appendAll(log.appender, "a", [newEvent()], 1);
    await until(2);
    const before = calls.length;
    await appendAll(other.appender, "a", [newEvent()]);
    await appendAll(log.appender, "a", [newEvent()], 2);
    await until(3);
    expect(calls.slice(before)).toEqual([3]);
    ends.abort();
    await following;
  });

  test("what a follower throws ends it", async () => {
    await using log = await freshLog(server.url);
    const broken = follow(log.database, () => Promise.reject(new Error("mine")), {
      signal: new AbortController().signal,
    });
    await expect(broken).rejects.toThrow("mine");
  });

  test("a stream is read from and to the versions asked for, over pages", async () => {
    await using log = await freshLog(server.url);
    await appendAll(
      log.appender,
      "a",
      Array.from({ length: 10 }, (_, n) => newEvent({ data: { n } })),
    );
    await appendAll(log.appender, "b", [newEvent()]);
    const read = async (options: { from?: number; to?: number; pageSize?: number }) =>
      (await collect(readStream(log.database.db, "a", options))).map((event) => event.streamVersion);
    expect(await read({ pageSize: 5 })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await read({ from: 8, pageSize: 2 })).toEqual([8, 9, 10]);
    expect(await read({ from: 2, to: 4 })).toEqual([2, 3, 4]);
  });

  test("events of unknown types are left out of what is read in today's shape, unreadable ones stop it by seq", async () => {
    await using log = await freshLog(server.url);
    const { db } = log.database;
    await appendAll(log.appender, "fleet", [
      newEvent(),
      newEvent({ type: "FromTheFuture" }),
      newEvent({ type: "FleetThawed" }),
    ]);
    const types = (await collect(upcastEvents(readAll(db), upcast))).map(({ type }) => type);
    expect(types).toEqual(["FleetFrozen", "FleetThawed"]);
    await appendAll(log.appender, "fleet", [newEvent({ data: { unheard: true } })], 3);
    await expect(collect(upcastEvents(readAll(db), upcast))).rejects.toThrow(
      "event 4 (FleetFrozen, version 1)",
    );
  });
});
