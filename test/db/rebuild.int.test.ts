import { connect } from "@sluice/db/connect";
import { readCheckpoint } from "@sluice/db/projections/checkpoint";
import type { Projection } from "@sluice/db/projections/projection";
import { Projector } from "@sluice/db/projections/projector";
import { rebuild } from "@sluice/db/projections/rebuild";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { upcast } from "@sluice/proto/events/upcast";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { created, exampleLists, exampleLog, retired, rows } from "./example-projection.ts";
import { appendAll } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test("a rebuild makes the same rows again, and readers see the old ones until all new ones are there", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  await appendAll(log.appender, "x", [created("a"), created("b"), retired("a"), created("c")]);
  await new Projector(database, { projections: [exampleLists], upcast }).catchUp();
  await database.db.execute(sql`insert into example_lists values ('stray', 0)`);
  const during: string[][] = [];
  const watched: Projection = {
    ...exampleLists,
    async apply(tx, events) {
      await exampleLists.apply(tx, events);
      during.push(await rows(database));
    },
  };
  const progress: number[] = [];
  await rebuild(database, watched, { upcast, batchSize: 2, onProgress: (seq) => progress.push(seq) });
  expect(during).toEqual([1, 2].map(() => ["b@2", "c@4", "stray@0"]));
  expect(await rows(database)).toEqual(["b@2", "c@4"]);
  expect(await readCheckpoint(database.db, exampleLists.name)).toBe(4);
  expect(progress).toEqual([2, 4]);
});

test("while events come in and readers read, no answer of a rebuild is older than one before, and none is lost", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  const projector = new Projector(database, { projections: [exampleLists], upcast });
  let stored = 0;
  for (; stored < 40; stored += 1) await appendAll(log.appender, "x", [created(`l-${stored}`)], stored);
  await projector.catchUp();
  let over = false;
  const writing = (async () => {
    for (; !over; stored += 1) {
      const [seq = 0] = await appendAll(log.appender, "x", [created(`l-${stored}`)], stored);
      await projector.waitFor(seq);
      expect(await rows(database)).toContain(`l-${stored}@${seq}`);
    }
  })();
  const counts: number[] = [];
  const reading = (async () => {
    while (!over) counts.push((await rows(database)).length);
  })();
  try {
    for (let round = 0; round < 5; round += 1) {
      await rebuild(database, exampleLists, { upcast, batchSize: 7 });
    }
  } finally {
    over = true;
    await Promise.all([writing, reading]);
  }
  await projector.catchUp();
  expect(await rows(database)).toHaveLength(stored);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts[0]).toBeGreaterThanOrEqual(40);
});

test("a rebuild that fails leaves the live tables as they were, and the next begins anew", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  await appendAll(log.appender, "x", [created("a"), created("b"), created("c")]);
  await new Projector(database, { projections: [exampleLists], upcast }).catchUp();
  const fragile: Projection = {
    ...exampleLists,
    async apply(tx, events) {
      if (events.some(({ seq }) => seq === 3)) throw new Error("mine");
      await exampleLists.apply(tx, events);
    },
  };
  const failing = rebuild(database, fragile, { upcast, batchSize: 2 });
  await expect(failing).rejects.toMatchObject({ name: "ProjectionStopped", seq: 3 });
  expect(await rows(database)).toEqual(["a@1", "b@2", "c@3"]);
  await rebuild(database, exampleLists, { upcast });
  expect(await rows(database)).toEqual(["a@1", "b@2", "c@3"]);
});

test("a second rebuild of the same projection is refused while one is under way", async () => {
  await using log = await exampleLog(server.url);
  await using other = await connect(server.url, { schema: log.database.schema });
  await appendAll(log.appender, "x", [created("a")]);
  const slow: Projection = {
    ...exampleLists,
    async apply(tx, events) {
      await expect(rebuild(other, exampleLists, { upcast })).rejects.toMatchObject({ code: "REFUSED" });
      await exampleLists.apply(tx, events);
    },
  };
  await rebuild(log.database, slow, { upcast });
  expect(await rows(log.database)).toEqual(["a@1"]);
  await rebuild(other, exampleLists, { upcast });
});

test("a reader that holds a table for long is waited for without holding up the others", async () => {
  await using log = await exampleLog(server.url);
  const { database } = log;
  await appendAll(log.appender, "x", [created("a")]);
  const projector = new Projector(database, { projections: [exampleLists], upcast });
  await projector.catchUp();
  const released = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const holding = database.db.transaction(async (tx) => {
    await tx.execute(sql`select from example_lists`);
    held.resolve();
    await released.promise;
  });
  await held.promise;
  const filled = Promise.withResolvers<void>();
  const rebuilding = rebuild(database, exampleLists, { upcast, onProgress: () => filled.resolve() });
  rebuilding.catch(filled.reject);
  await filled.promise;
  for (let n = 1; n < 6; n += 1) {
    const [seq = 0] = await appendAll(log.appender, "x", [created(`l-${n}`)], n);
    await projector.waitFor(seq);
    expect(await rows(database)).toHaveLength(n + 1);
  }
  released.resolve();
  await Promise.all([holding, rebuilding]);
  expect(await rows(database)).toHaveLength(6);
});
