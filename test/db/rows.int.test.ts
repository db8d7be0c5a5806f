import { gatherRows, type Rows } from "@sluice/db/projections/rows";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { boolean, integer, pgTable, text } from "drizzle-orm/pg-core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshLog, type LogFixture } from "./log-fixture.ts";

const things = pgTable("things", {
  name: text().primaryKey(),
  kind: integer("its_kind").notNull(),
  open: boolean().notNull(),
  note: text(),
});

let server: PostgresServer;
let log: LogFixture;
beforeAll(async () => {
  server = await startPostgres();
  log = await freshLog(server.url);
  await log.database.sql`
    create table things (name text primary key, its_kind integer not null, open boolean not null, note text)`;
});
afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await server?.stop();
});

const values = { kind: fc.integer({ min: 1, max: 2 }), open: fc.boolean() };
const note = fc.option(fc.constantFrom("x", 'y "\\', "z\n"), { nil: undefined });
const upserted = fc.constantFrom("a", "b");
const any = fc.constantFrom("a", "b", "i0", "i1");
const change = fc.oneof(
  fc.record({ does: fc.constant("insert" as const), ...values, note }),
  fc.record({ does: fc.constant("upsert" as const), name: upserted, ...values }),
  fc.record({ does: fc.constant("update" as const), name: any, kind: values.kind, note }),
  fc.record({ does: fc.constant("remove" as const), name: any }),
  fc.record({ does: fc.constant("close" as const), kind: values.kind }),
  fc.record({ does: fc.constant("name" as const), kind: values.kind }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The nth of its run. */
function make(rows: Rows, one: Change, n: number): void {
  switch (one.does) {
    case "insert":
      rows.insert(things, { name: `i${n}`, kind: one.kind, open: one.open, note: one.note });
      break;
    case "upsert":
      rows.upsert(things, { name: one.name, kind: one.kind, open: one.open }, { note: "new" });
      break;
    case "update":
      rows.update(things, { name: one.name }, { kind: one.kind, note: one.note });
      break;
    case "remove":
      rows.remove(things, { name: one.name });
      break;
    case "close":
      rows.updateEvery(things, { kind: one.kind, open: true }, { open: false });
      break;
    case "name":
      rows.updateEvery(things, { kind: one.kind, note: null }, { note: "named" });
      break;
  }
}

async function after(pages: readonly (readonly Change[])[]): Promise<unknown[]> {
  const { sql, db } = log.database;
  await sql`truncate things`;
  await db.transaction(async (tx) => {
    let n = 0;
    for (const page of pages) {
      const rows = gatherRows();
      for (const one of page) make(rows, one, n++);
      await rows.write(tx);
    }
  });
  return [...(await db.select().from(things).orderBy(things.name))];
}

test("changes that are written together end as when each is written before the next is made", async () => {
  const run = fc.array(change, { minLength: 6, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(run, async (changes) => {
      expect(await after([changes])).toEqual(await after(changes.map((one) => [one])));
    }),
    { numRuns: 100 },
  );
});

test("changes of one kind are one statement, whatever their number", async () => {
  const { db } = log.database;
  const statements: unknown[] = [];
  await after([]);
  await db.transaction(async (tx) => {
    const execute = tx.execute.bind(tx);
    tx.execute = (statement) => {
      statements.push(statement);
      return execute(statement);
    };
    const rows = gatherRows();
    for (let n = 0; n < 500; n += 1) {
      rows.updateEvery(things, { kind: n, open: true }, { open: false });
      rows.insert(things, { name: `n${n}`, kind: n % 3, open: true });
      rows.update(things, { name: `n${n}` }, { note: String(n) });
    }
    await rows.write(tx);
  });
  expect(statements).toHaveLength(2);
  expect(await db.$count(things)).toBe(500);
});
