import { readCheckpoint } from "@sluice/db/projections/checkpoint";
import type { Projection } from "@sluice/db/projections/projection";
import { Projector } from "@sluice/db/projections/projector";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { EVENT_TYPES } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { afterAll, beforeAll, expect, test } from "vitest";
import { created, exampleLog, exampleLists as lists, retired, rows } from "./example-projection.ts";
import { appendAll, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test("catching up applies every known event once and in order, and skips unknown types", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const projector = new Projector(database, { projections: [lists], upcast, batchSize: 2 });
  await appendAll(log.appender, "x", [
    created("a"),
    created("b"),
    newEvent({ type: "Unknown" }),
    retired("a"),
    created("c"),
  ]);
  await projector.catchUp();
  await projector.catchUp();
  expect(await rows(database)).toEqual(["b@2", "c@5"]);
  expect(await readCheckpoint(database.db, lists.name)).toBe(5);
});

test("an event that can't be applied stops its projection before it, with neither rows nor checkpoint moved, and the others go on", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const seen: number[] = [];
  const watching: Projection = {
    name: "watching",
    tables: [],
    types: EVENT_TYPES,
    apply: async (_, events) => {
      seen.push(...events.map(({ seq }) => seq));
    },
  };
  let isBroken = true;
  const fragile: Projection = {
    ...lists,
    async apply(tx, events) {
      await lists.apply(tx, events);
      if (isBroken && events.some(({ seq }) => seq === 3)) throw new Error("mine"); // after its rows were written
    },
  };
  const projector = new Projector(database, { projections: [fragile, watching], upcast });
  await appendAll(log.appender, "x", [created("a"), created("b"), created("c"), created("d")]);
  await expect(projector.catchUp()).rejects.toThrow(
    "projection example-lists stopped before event 3 (ListCreated): mine",
  );
  expect(await rows(database)).toEqual(["a@1", "b@2"]);
  expect(await readCheckpoint(database.db, lists.name)).toBe(2);
  expect(seen).toEqual([1, 2, 3, 4]);
  await expect(projector.waitFor(4, lists.name)).rejects.toThrow("mine");
  isBroken = false;
  await projector.waitFor(4);
  expect(await rows(database)).toEqual(["a@1", "b@2", "c@3", "d@4"]);
});

test("a known event that can't be read stops it, by seq", async () => {
  await using log = await exampleLog(server.url);
  const projector = new Projector(log.database, { projections: [lists], upcast });
  await appendAll(log.appender, "x", [created("a"), newEvent({ type: "ListCreated", data: { list: 7 } })]);
  await expect(projector.catchUp()).rejects.toMatchObject({ name: "ProjectionStopped", seq: 2 });
  expect(await rows(log.database)).toEqual(["a@1"]);
});

test("several processes that apply at once apply each event once", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const projectors = Array.from(
    { length: 4 },
    () => new Projector(database, { projections: [lists], upcast, batchSize: 3 }),
  );
  const writing = (async () => {
    for (let n = 0; n < 60; n += 1) await appendAll(log.appender, "x", [created(`l-${n}`)], n);
  })();
  const applying = projectors.map(async (projector) => {
    while ((await readCheckpoint(database.db, lists.name)) < 60) await projector.catchUp();
  });
  await Promise.all([writing, ...applying]);
  expect(await rows(database)).toHaveLength(60); // a second application would have hit the primary key
});

test("what was just appended is there after waitFor, and a seq that doesn't exist is an error", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const projector = new Projector(database, { projections: [lists], upcast });
  await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const [seq = 0] = await appendAll(log.appender, `x-${n}`, [created(`l-${n}`)]);
      await projector.waitFor(seq, lists.name);
      expect(await rows(database)).toContain(`l-${n}@${seq}`);
    }),
  );
  await expect(projector.waitFor(31)).rejects.toThrow("isn't in the log, which ends at 30");
});

test("catching up while a run is under way includes what that run has already read past", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const slow: Projection = {
    ...lists,
    async apply(tx, events) {
      reached.resolve();
      await released.promise;
      await lists.apply(tx, events);
    },
  };
  const projector = new Projector(database, { projections: [slow], upcast });
  await appendAll(log.appender, "x", [created("a")]);
  const first = projector.catchUp();
  await reached.promise;
  await appendAll(log.appender, "x", [created("b")], 1);
  const asked = Promise.all([projector.catchUp(), projector.waitFor(2)]);
  released.resolve();
  await Promise.all([first, asked]);
  expect(await rows(database)).toEqual(["a@1", "b@2"]);
});

test("following keeps up until the signal", async () => {
  await using log = await exampleLog(server.url);
  const ends = new AbortController();
  const applied = Promise.withResolvers<void>();
  const watched: Projection = {
    ...lists,
    async apply(tx, events) {
      await lists.apply(tx, events);
      if (events.some(({ seq }) => seq === 2)) applied.resolve();
    },
  };
  const projector = new Projector(log.database, { projections: [watched], upcast });
  const following = projector.follow(ends.signal);
  await appendAll(log.appender, "x", [created("a")]);
  await appendAll(log.appender, "x", [created("b")], 1);
  await applied.promise;
  ends.abort();
  await following;
  await projector.waitFor(2);
  expect(await rows(log.database)).toEqual(["a@1", "b@2"]);
});
