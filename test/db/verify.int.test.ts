import { queryHistory } from "@sluice/db/history/query";
import { eraseActor } from "@sluice/db/log/erase";
import { chainHash } from "@sluice/db/log/event-body";
import { readAll, readHead } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appendAll, collect, freshLog, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const count = 12;

async function logOf(events: number) {
  const log = await freshLog(server.url);
  const keys = { policy: "web" };
  await appendAll(
    log.appender,
    "a",
    Array.from({ length: events }, (_, n) =>
      newEvent({ data: { n }, keys, actor: n % 2 === 0 ? "ada" : "bob" }),
    ),
  );
  return log;
}

type Log = Awaited<ReturnType<typeof logOf>>;

/** As a superuser could, with the triggers off. */
async function tamper(log: Log, ...statements: string[]) {
  await log.database.sql.begin(async (tx) => {
    await tx.unsafe("set local session_replication_role = replica");
    for (const statement of statements) await tx.unsafe(statement);
  });
}

describe("verify", () => {
  test("an untouched log is whole, and so is an empty one", async () => {
    await using log = await logOf(count);
    await using empty = await logOf(1);
    await tamper(
      empty,
      "delete from events",
      "update head set seq = 0, hash = decode(repeat('00', 32), 'hex')",
    );
    const head = await readHead(log.database.db);
    expect(await verify(log.database.db, { checkpoint: head })).toEqual({ ok: true, events: count, head });
    expect(await verify(empty.database.db)).toMatchObject({ ok: true, events: 0 });
  });

  test.each([
    [
      "an edited body",
      5,
      "edited-body",
      ["update events set body = replace(body, '\"n\":4', '\"n\":5') where seq = 5"],
    ],
    [
      "the newest event's edited body",
      count,
      "edited-body",
      [`update events set body = body || ' ' where seq = ${count}`],
    ],
    ["an altered hash", 5, "altered-hash", ["update events set hash = sha256('') where seq = 5"]],
    [
      "the newest event's altered hash",
      count,
      "altered-hash",
      [`update events set hash = sha256('') where seq = ${count}`],
    ],
    ["an altered previous hash", 5, "wrong-prev", ["update events set prev_hash = sha256('') where seq = 5"]],
    ["a deleted event", 5, "missing", ["delete from events where seq = 5"]],
    ["the first event deleted", 1, "missing", ["delete from events where seq = 1"]],
    [
      "two events that changed places",
      5,
      "edited-body",
      [
        "update events set seq = 99 where seq = 5",
        "update events set seq = 5 where seq = 6",
        "update events set seq = 6 where seq = 99",
      ],
    ],
    ["the newest events cut off", 11, "truncated", ["delete from events where seq > 10"]],
    [
      "events cut off and the head set back, where a checkpoint knows better",
      11,
      "truncated",
      [
        "delete from events where seq > 10",
        "update head set seq = 10, hash = (select hash from events where seq = 10)",
      ],
    ],
    [
      "a head set back",
      11,
      "beyond-head",
      ["update head set seq = 10, hash = (select hash from events where seq = 10)"],
    ],
    [
      "a column that says otherwise",
      5,
      "altered-column",
      ["update events set policy = 'other' where seq = 5"],
    ],
    [
      "a time that was moved",
      5,
      "altered-column",
      ["update events set at = at + interval '1 ms' where seq = 5"],
    ],
    [
      "another actor put in",
      5,
      "altered-personal",
      [
        "update personal set value = 'eve' where field = 'actor' and event_id = (select id from events where seq = 5)",
      ],
    ],
  ])("finds %s", async (_, seq, fault, statements) => {
    await using log = await logOf(count);
    const checkpoint = await readHead(log.database.db);
    await tamper(log, ...statements);
    expect(await verify(log.database.db, { checkpoint })).toMatchObject({ ok: false, seq, fault });
  });

  test("finds a history written anew with all its hashes, by a checkpoint kept outside", async () => {
    await using log = await logOf(count);
    const { sql, db } = log.database;
    const checkpoint = await readHead(db);
    let previous: Buffer = Buffer.alloc(32);
    const statements: string[] = [];
    for (const row of await sql<{ seq: number; body: string }[]>`select seq, body from events order by seq`) {
      const body = row.seq === 5 ? row.body.replace('"n":4', '"n":5') : row.body;
      const hash = chainHash(previous, row.seq, body);
      statements.push(
        `update events set body = '${body}', prev_hash = '\\x${previous.toString("hex")}', hash = '\\x${hash.toString("hex")}' where seq = ${row.seq}`,
      );
      previous = hash;
    }
    statements.push(`update head set hash = '\\x${previous.toString("hex")}'`);
    await tamper(log, ...statements);
    expect(await verify(db)).toMatchObject({ ok: true });
    expect(await verify(db, { checkpoint })).toMatchObject({ ok: false, seq: count, fault: "other-history" });
  });

  test("finds an edit across pages of a longer log, and the whole one is whole while writers go on", async () => {
    await using log = await logOf(1_500);
    const writing = Promise.all(
      Array.from({ length: 200 }, (_, i) => appendAll(log.appender, `other-${i}`, [newEvent()])),
    );
    expect(await verify(log.database.db)).toMatchObject({ ok: true });
    await writing;
    await tamper(log, "update events set hash = sha256('') where seq = 1000"); // the last of its page
    expect(await verify(log.database.db)).toMatchObject({ ok: false, seq: 1000, fault: "altered-hash" });
  });

  test("erasing a person takes the name and the reasons away and leaves the chain whole", async () => {
    await using log = await logOf(count);
    const { db, sql } = log.database;
    expect(await eraseActor(log.database, "ada")).toBe(count / 2);
    expect(await verify(db)).toMatchObject({ ok: true, events: count });
    expect((await queryHistory(log.database, { actor: "ada" })).rows).toEqual([]);
    const actors = (await collect(readAll(db))).map(({ meta }) => [meta.actor, meta.reason]);
    expect(new Set(actors.map(String))).toEqual(new Set(["bob,because", String([null, null])]));
    const [left] = await sql`select count(*) from personal where value = 'ada'`;
    expect(left).toEqual({ count: 0 });
  });
});
