import type { Queryable } from "@sluice/db/connect";
import { EVENTS_PER_BLOCK } from "@sluice/db/history/blocks";
import { type Condition, candidates, type Range } from "@sluice/db/history/candidates";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshLog, type LogFixture } from "./log-fixture.ts";

const BLOCKS = 2_000;
/** In which blocks a term stands, each time in places 1 and 3. */
const STANDS: Readonly<Record<string, (block: number) => boolean>> = {
  "type:common": () => true,
  "server:often": (block) => block % 7 === 0,
  "server:seldom": (block) => block % 50 === 7,
  "actor:early": (block) => block < 900,
  "actor:late": (block) => block >= 1_500,
};
const TYPES: Condition = ["type:common", ..."abcdefghi".split("").map((name) => `type:${name}`)];

let server: PostgresServer;
let log: LogFixture;
beforeAll(async () => {
  server = await startPostgres();
  log = await freshLog(server.url);
  const { sql } = log.database;
  for (const [term, stands] of Object.entries(STANDS)) {
    const blocks = Array.from({ length: BLOCKS }, (_, block) => block).filter(stands);
    await sql`
      insert into history_terms (term, block, places)
      select ${term}, b, '\\x00010003' from unnest(${`{${blocks}}`}::text::integer[]) as b`;
  }
  await sql`
    insert into history_blocks (block, first_at, last_at)
    select b, ${day(0)}::text::timestamptz + b * interval '1 day', ${day(1)}::text::timestamptz + b * interval '1 day'
      from generate_series(0, ${BLOCKS - 1}) as b`;
});
afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await server?.stop();
});

function day(block: number): string {
  return new Date(Date.UTC(2026, 0, 1 + block)).toISOString();
}

const ALL: Range = { from: 1, to: BLOCKS * EVENTS_PER_BLOCK };

function expected(conditions: readonly Condition[], { from, to, since, until }: Range): number[] {
  const seqs: number[] = [];
  for (let block = BLOCKS - 1; block >= 0; block -= 1) {
    if ((since !== undefined && day(block + 1) < since) || (until !== undefined && day(block) > until))
      continue;
    if (conditions.every((terms) => terms.some((term) => STANDS[term]?.(block))))
      seqs.push(block * EVENTS_PER_BLOCK + 4, block * EVENTS_PER_BLOCK + 2);
  }
  return seqs.filter((seq) => seq >= from && seq <= to);
}

test.each<[string, readonly Condition[], Partial<Range>]>([
  ["a term that stands everywhere", [["type:common"]], {}],
  ["the sparser of two", [["type:common"], ["server:often"]], {}],
  ["two that meet in no block any more", [["server:often"], ["server:seldom"], ["actor:early"]], {}],
  ["either of two", [["type:common"], ["server:seldom", "actor:late"]], {}],
  ["two of which neither is sparse, and which never meet", [["actor:early"], ["actor:late"]], {}],
  ["one of many types", [TYPES], {}],
  ["one of many types, of a server", [["server:often"], TYPES], {}],
  ["between two times", [["server:often"]], { since: day(300), until: day(1_700) }],
  ["from a page on", [["type:common"], ["server:often"]], { from: 5_000, to: 1_234_567 }],
  ["what stands nowhere", [["type:common"], ["server:none"]], {}],
])("finds all of it, newest first: %s", async (_, conditions, bounds) => {
  const range = { ...ALL, ...bounds };
  const found: number[] = [];
  for await (const seqs of candidates(log.database.db, conditions, range)) found.push(...seqs);
  expect(found).toEqual(expected(conditions, range));
});

test("a page of what stands in few blocks is had without the others", async () => {
  const conditions = [["server:often"], TYPES];
  const { db, rowsRead } = counting(log.database.db);
  const found: number[] = [];
  for await (const seqs of candidates(db, conditions, ALL)) if (found.push(...seqs) >= 50) break;
  // its newest blocks, and of those it looked at (4, 16 and 64) its own row and that of the type
  expect(rowsRead()).toBe(256 + 2 * (4 + 16 + 64));
});

/** The same database, counting what it gives. */
function counting(db: Queryable): { db: Queryable; rowsRead(): number } {
  let rows = 0;
  const counted = new Proxy(db, {
    get(target, name) {
      if (name !== "execute") return Reflect.get(target, name);
      return async (...args: Parameters<Queryable["execute"]>) => {
        const found = await target.execute(...args);
        rows += found.length;
        return found;
      };
    },
  });
  return { db: counted, rowsRead: () => rows };
}
