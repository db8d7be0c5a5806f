import { queryHistory } from "@sluice/db/history/query";
import type { Claim } from "@sluice/db/log/claims";
import { eraseActor } from "@sluice/db/log/erase";
import { readAll, readHead } from "@sluice/db/log/read";
import { growTree, treeReader } from "@sluice/db/log/tree";
import { verify } from "@sluice/db/log/verify";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { leafHash } from "@sluice/proto/base/merkle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appendAll, collect, freshLog, type LogFixture, newEvent } from "./log-fixture.ts";
import {
  cutOff,
  insertAfter,
  rechain,
  swap,
  swapBodies,
  swapPersons,
  tamper,
  tampered,
} from "./tampering.ts";

const count = 12;
let server: PostgresServer;
/** what is done to these is undone again */
let log: LogFixture;
let longLog: LogFixture;
beforeAll(async () => {
  server = await startPostgres();
  log = await logOf(count);
  longLog = await logOf(300);
});
afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await longLog?.[Symbol.asyncDispose]();
  await server?.stop();
});

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
  await growTree(log.database);
  return log;
}

/** As a checkpoint says it that was signed now and is kept outside. */
async function claimNow({ database: { db } }: LogFixture): Promise<Claim> {
  const { seq, hash } = await readHead(db);
  const root = (await treeReader(db)({ from: 0, to: seq })).toString("hex");
  return { by: "the checkpoint", seq, hash, root };
}

const editSeq5 = (body: string, seq: number) => (seq === 5 ? body.replace('"n":4', '"n":5') : body);

describe("verify", () => {
  test("an untouched log is whole, with its tree and what was claimed of it, and so is an empty one", async () => {
    await using empty = await freshLog(server.url);
    const claim = await claimNow(log);
    const { seq, hash, root } = claim;
    const progress: unknown[] = [];
    const result = await verify(log.database.db, {
      claims: [claim],
      onProgress: (step) => progress.push(step),
    });
    expect(result).toMatchObject({
      events: count,
      head: { seq, hash },
      tree: { size: seq, root },
      findings: [],
    });
    expect([result.claims.held(), result.claims.heldUpTo()]).toEqual([1, count]);
    expect(progress).toEqual([{ seq: count, of: count }]);
    expect(await verify(empty.database.db)).toMatchObject({ events: 0, findings: [] });
  });

  test.each([
    [
      "an edited body",
      5,
      "edited",
      [`update events set body = replace(body, '"n":4', '"n":5') where seq = 5`],
    ],
    ["a body that is no event", 5, "edited", ["update events set body = 'nonsense' where seq = 5"]],
    [
      "the newest event's edited body",
      count,
      "edited",
      [`update events set body = body || ' ' where seq = ${count}`],
    ],
    ["an altered hash", 5, "edited", ["update events set hash = sha256('') where seq = 5"]],
    [
      "the newest event's altered hash",
      count,
      "edited",
      [`update events set hash = sha256('') where seq = ${count}`],
    ],
    ["an altered previous hash", 5, "altered", ["update events set prev_hash = sha256('') where seq = 5"]],
    ["a deleted event", 5, "deleted", ["delete from events where seq = 5"]],
    ["several deleted events", 5, "deleted", ["delete from events where seq between 5 and 7"]],
    ["the first event deleted", 1, "deleted", ["delete from events where seq = 1"]],
    ["two events that changed places", 5, "moved", swap(5, 6)],
    ["two events far apart that changed places", 3, "moved", swap(3, 11)],
    ["the newest events cut off", 11, "truncated", ["delete from events where seq > 10"]],
    ["events cut off and the head set back, where a checkpoint knows better", 11, "truncated", cutOff(10)],
    ["a head set back", 11, "added", [cutOff(10)[2] ?? ""]],
    ["a column that says otherwise", 5, "altered", ["update events set policy = 'other' where seq = 5"]],
    ["a stream that says otherwise", 5, "altered", ["update events set stream = 'other' where seq = 5"]],
    ["a time that was moved", 5, "altered", ["update events set at = at + interval '1 ms' where seq = 5"]],
    ["another actor put in", 5, "altered", ["update personal set actor = 'eve' where seq = 5"]],
    ["another reason put in", 5, "altered", ["update personal set reason = 'none' where seq = 5"]],
    ["another salt", 5, "altered", ["update personal set reason_salt = sha256('') where seq = 5"]],
    ["a person whose salt is gone", 5, "altered", ["update personal set actor_salt = null where seq = 5"]],
    ["an actor under another event", 5, "altered", swapPersons(5, 6)],
    ["two bodies that changed places", 5, "edited", swapBodies(5, 6)],
    ["an event put between", 5, "added", insertAfter(4)],
    ["an event put at the end", count + 1, "added", insertAfter(count)],
    [
      "everything taken away, and the head set back",
      1,
      "truncated",
      [
        "truncate events, personal cascade",
        "update head set seq = 0, hash = decode(repeat('00', 32), 'hex')",
      ],
    ],
    ["another type", 5, "altered", ["update events set type = 'FleetThawed' where seq = 5"]],
    ["another version of its stream", 5, "altered", ["update events set stream_version = 99 where seq = 5"]],
    ["another id", 5, "altered", ["update events set id = gen_random_uuid() where seq = 5"]],
    ["another schema version", 5, "altered", ["update events set schema_version = 9 where seq = 5"]],
    ["another correlation", 5, "altered", ["update events set correlation = 'c' where seq = 5"]],
    ["another server", 5, "altered", ["update events set server = 'web-1' where seq = 5"]],
    ["another list", 5, "altered", ["update events set list = 'bans' where seq = 5"]],
    ["another rollout", 5, "altered", ["update events set rollout = 'r-1' where seq = 5"]],
    ["a policy no longer", 5, "altered", ["update events set policy = null where seq = 5"]],
  ])("finds %s, and names the first bad event", async (_, seq, tampering, statements) => {
    const claims = [await claimNow(log)];
    const { findings } = await tampered(log.database, statements, (db) => verify(db, { claims }));
    expect(findings[0]).toMatchObject({ seq, tampering });
    const isThere = !["deleted", "truncated", "added"].includes(tampering);
    if (isThere && statements[0]?.includes("nonsense") !== true)
      expect(findings[0]?.message).toContain(`event ${seq} (FleetFrozen on a)`);
  });

  test("one edited event is one finding, however many come after it", async () => {
    const edit = `update events set body = replace(body, '"n":4', '"n":5') where seq = 5`;
    const claims = [await claimNow(log)];
    const { findings } = await tampered(log.database, [edit], (db) => verify(db, { claims }));
    expect(findings).toHaveLength(1);
  });

  test("an event edited together with its own hash is named, not the one after it", async () => {
    const edit = [
      `update events set body = replace(body, '"n":4', '"n":5') where seq = 5`,
      "update events set hash = sha256(prev_hash || int8send(seq) || sha256(convert_to(body, 'UTF8'))) where seq = 5",
    ];
    const { findings } = await tampered(log.database, edit, (db) => verify(db));
    expect(findings).toMatchObject([{ seq: 5, tampering: "edited", type: "FleetFrozen", stream: "a" }]);
  });

  test("an event put between is one that was added also where the tree was made anew over it", async () => {
    await using log = await logOf(count);
    const claims = [await claimNow(log)];
    await tamper(
      log.database,
      ...insertAfter(4),
      "delete from merkle_tiles",
      "delete from checkpoints where name = 'tree'",
      "update head set seq = seq + 1, hash = (select hash from events order by seq desc limit 1)",
    );
    await growTree(log.database);
    for (const given of [{}, { claims }]) {
      const { findings } = await verify(log.database.db, given);
      expect(findings[0]).toMatchObject({ seq: 5, tampering: "added", type: "FleetFrozen", stream: "b" });
    }
  });

  test("a log that was cut off and gone on with is found by who knows its end as it was", async () => {
    await using log = await logOf(count);
    const claims = [await claimNow(log)];
    await tamper(log.database, ...cutOff(10));
    await appendAll(log.appender, "b", [newEvent(), newEvent(), newEvent()]);
    const { findings } = await verify(log.database.db, { claims });
    expect(findings[0]).toMatchObject({ seq: 11, tampering: "rewritten", type: "FleetFrozen", stream: "b" });
  });

  describe("a history written anew, with all its hashes", () => {
    test("is whole in itself, and found by a claim from outside: the tree tells which event was the first", async () => {
      await using log = await logOf(count);
      const claims = [await claimNow(log)];
      await rechain(log.database, 5, editSeq5);
      const { findings } = await verify(log.database.db, { claims });
      expect(findings).toMatchObject([{ seq: 5, tampering: "rewritten", type: "FleetFrozen", stream: "a" }]);
    });

    test("with the tree, too: another copy of the hashes tells which event was the first, else what was signed tells between which", async () => {
      await using log = await logOf(count);
      const hashes = await log.database.sql<{ hash: Buffer }[]>`select hash from events order by seq`;
      const third = { by: "the checkpoint", seq: 3, hash: hashes[2]?.hash.toString("hex") ?? "", root: "" };
      const root = (await treeReader(log.database.db)({ from: 0, to: 3 })).toString("hex");
      const claims = [{ ...third, root }, await claimNow(log)];
      await rechain(log.database, 5, editSeq5);
      await tamper(log.database, "delete from merkle_tiles", "delete from checkpoints where name = 'tree'");
      await growTree(log.database);
      expect((await verify(log.database.db)).findings).toEqual([]);
      expect((await verify(log.database.db, { claims })).findings).toMatchObject([
        { tampering: "rewritten", seq: 4, upTo: count },
      ]);
      const copies = [{ leaf: async (seq: number) => leafHash(hashes[seq - 1]?.hash ?? Buffer.alloc(0)) }];
      expect((await verify(log.database.db, { claims, copies })).findings).toMatchObject([
        { tampering: "rewritten", seq: 5, type: "FleetFrozen" },
      ]);
    });
  });

  test.each([
    [
      "a leaf",
      5,
      "update merkle_tiles set hashes = overlay(hashes placing sha256('') from 4 * 32 + 1 for 32) where level = 0",
    ],
    ["an inner hash", 300, "update merkle_tiles set hashes = sha256('') where level = 1"],
  ])("finds %s of the stored tree that was changed", async (_, seq, statement) => {
    const { findings } = await tampered(longLog.database, [statement], (db) => verify(db));
    expect(findings).toMatchObject([{ seq, tampering: "tree" }]);
  });

  test("finds what is made of the log and knows more than it has", async () => {
    const ahead = "insert into checkpoints (name, position) values ('control', 12)";
    const { findings } = await tampered(log.database, [...cutOff(10), ahead], (db) => verify(db));
    expect(findings.map(({ seq, tampering }) => [seq, tampering])).toEqual([
      [11, "ahead"],
      [11, "ahead"],
    ]);
    expect(findings.map(({ message }) => message).join()).toContain("control has come to event 12");
  });

  test("finds an edit across pages of a longer log, and the whole one is whole while writers go on", async () => {
    await using log = await logOf(1_500);
    const writing = Promise.all(
      Array.from({ length: 200 }, (_, i) => appendAll(log.appender, `other-${i}`, [newEvent()])),
    );
    expect((await verify(log.database.db)).findings).toEqual([]);
    await writing;
    await tamper(log.database, "update events set hash = sha256('') where seq = 1024"); // the last of its page
    expect((await verify(log.database.db)).findings[0]).toMatchObject({ seq: 1024, tampering: "edited" });
  });

  test("erasing a person takes the name and the reasons away and leaves the chain whole", async () => {
    await using log = await logOf(count);
    const { db, sql } = log.database;
    expect(await eraseActor(log.database, "ada")).toBe(count / 2);
    expect(await verify(db)).toMatchObject({ events: count, findings: [] });
    expect((await queryHistory(log.database, { actor: "ada" })).rows).toEqual([]);
    const actors = (await collect(readAll(db))).map(({ meta }) => [meta.actor, meta.reason]);
    expect(new Set(actors.map(String))).toEqual(new Set(["bob,because", String([null, null])]));
    const [left] = await sql`select count(*) from personal where actor = 'ada'`;
    expect(left).toEqual({ count: 0 });
  });
});
