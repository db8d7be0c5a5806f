import { randomUUID } from "node:crypto";
import { connect } from "@sluice/db/connect";
import { Appender, type AppendVerdict } from "@sluice/db/log/append";
import { eraseActor } from "@sluice/db/log/erase";
import { readAll, readById, readHead, readStream } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import { migrate } from "@sluice/db/migrate";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appendAll, collect, freshLog, newEvent, seqsOf } from "./log-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

describe("appending", () => {
  test("what was given comes back, with its place and with actor and reason", async () => {
    await using log = await freshLog(server.url);
    const event = newEvent({
      data: { text: 'ü "quoted" \\u0000', n: 1.5 },
      keys: { policy: "web" },
      actor: "ada",
    });
    const verdict = await log.appender.append({ stream: "policy-web", expected: 0, events: [event] });
    expect(verdict).toEqual({ outcome: "stored", seqs: [1], version: 1, repeated: false });
    expect(await readById(log.database.db, event.id)).toMatchObject({
      seq: 1,
      stream: "policy-web",
      streamVersion: 1,
      type: event.type,
      data: event.data,
      keys: { policy: "web" },
      meta: event.meta,
    });
  });

  test("32 writers in several processes' queues, in conflict, leave one gapless chain with every acknowledged event once", async () => {
    await using log = await freshLog(server.url);
    await using second = new Appender(log.database);
    const stored = new Map<string, number>();
    let conflicts = 0;

    async function writer(index: number) {
      const appender = index % 2 === 0 ? log.appender : second;
      const stream = `stream-${index % 5}`; // about six writers on each
      let expected = 0;
      for (let done = 0; done < 20; ) {
        const events = [newEvent({ data: { index, done } }), newEvent({ data: { index, done } })];
        const verdict = await appender.append({ stream, expected, events });
        if (verdict.outcome === "conflict") {
          conflicts += 1;
          expected = verdict.actual;
          continue;
        }
        events.forEach(({ id }, i) => {
          stored.set(id, verdict.seqs[i] ?? -1);
        });
        expected = verdict.version;
        done += 1;
      }
    }
    await Promise.all(Array.from({ length: 32 }, (_, index) => writer(index)));

    const all = await collect(readAll(log.database.db, { pageSize: 100 }));
    expect(conflicts).toBeGreaterThan(0);
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 32 * 20 * 2 }, (_, i) => i + 1));
    expect(new Map(all.map(({ id, seq }) => [id, seq]))).toEqual(stored);
    for (let s = 0; s < 5; s += 1) {
      const versions = (await collect(readStream(log.database.db, `stream-${s}`))).map(
        (event) => event.streamVersion,
      );
      expect(versions).toEqual(versions.map((_, i) => i + 1));
    }
    expect(await verify(log.database.db)).toMatchObject({ events: all.length, findings: [] });
  });

  test("a conflict is told the stream's version and never fails a neighbour in the same batch", async () => {
    await using log = await freshLog(server.url);
    await appendAll(log.appender, "taken", [newEvent(), newEvent()]);
    // one tick, so one batch; the fourth follows the third within it
    const verdicts = await Promise.all([
      log.appender.append({ stream: "a", expected: 0, events: [newEvent()] }),
      log.appender.append({ stream: "taken", expected: 0, events: [newEvent()] }),
      log.appender.append({ stream: "b", expected: 0, events: [newEvent()] }),
      log.appender.append({ stream: "b", expected: 1, events: [newEvent()] }),
      log.appender.append({ stream: "b", expected: 1, events: [newEvent()] }),
    ]);
    expect(verdicts).toEqual([
      { outcome: "stored", seqs: [3], version: 1, repeated: false },
      { outcome: "conflict", actual: 2 },
      { outcome: "stored", seqs: [4], version: 1, repeated: false },
      { outcome: "stored", seqs: [5], version: 2, repeated: false },
      { outcome: "conflict", actual: 2 },
    ]);
  });

  test("events of a command are stored in their places, whatever came of the commands before it in the batch", async () => {
    await using log = await freshLog(server.url);
    const known = newEvent();
    await appendAll(log.appender, "known", [known]);
    const [a, b] = [newEvent({ actor: "a" }), newEvent({ actor: "b" })];
    const verdicts = await Promise.all([
      log.appender.append({ stream: "never", expected: 4, events: [newEvent(), newEvent()] }),
      log.appender.append({ stream: "never", expected: 0, events: [a] }),
      log.appender.append({ stream: "known", expected: 0, events: [known] }),
      log.appender.append({ stream: "never", expected: 1, events: [b] }),
    ]);
    expect(verdicts).toEqual([
      { outcome: "conflict", actual: 0 },
      { outcome: "stored", seqs: [2], version: 1, repeated: false },
      { outcome: "stored", seqs: [1], version: 1, repeated: true },
      { outcome: "stored", seqs: [3], version: 2, repeated: false },
    ]);
    const stored = await collect(readStream(log.database.db, "never"));
    expect(stored.map(({ id, meta }) => [id, meta.actor])).toEqual([
      [a.id, "a"],
      [b.id, "b"],
    ]);
    expect(await verify(log.database.db)).toMatchObject({ events: 3, findings: [] });
  });

  test("an event that Postgres refuses fails its own command and no neighbour", async () => {
    await using log = await freshLog(server.url);
    await log.database.sql`alter table events add constraint no_bomb check (type <> 'Bomb')`;
    const [before, bomb, after] = await Promise.allSettled([
      log.appender.append({ stream: "a", expected: 0, events: [newEvent()] }),
      log.appender.append({ stream: "b", expected: 0, events: [newEvent({ type: "Bomb" })] }),
      log.appender.append({ stream: "c", expected: 0, events: [newEvent()] }),
    ]);
    expect(before).toMatchObject({ value: { outcome: "stored", seqs: [1] } });
    expect(bomb).toMatchObject({ reason: { code: "INTERNAL" } });
    expect(after).toMatchObject({ value: { outcome: "stored", seqs: [2] } });
  });

  test("sent again with the same ids, a command gets the seqs it has and stores nothing", async () => {
    await using log = await freshLog(server.url);
    const command = { stream: "a", expected: 0, events: [newEvent(), newEvent()] };
    const first = await log.appender.append(command);
    await appendAll(log.appender, "a", [newEvent()], 2);
    // later, twice in one tick, and through another process's queue
    await using other = new Appender(log.database);
    const again = await Promise.all([command, command].map((c) => log.appender.append(c)));
    again.push(await other.append(command));
    for (const verdict of again) expect(verdict).toEqual({ ...first, repeated: true });
    expect((await readHead(log.database.db)).seq).toBe(3);
  });

  test("the same new command twice in one tick is stored once", async () => {
    await using log = await freshLog(server.url);
    const command = { stream: "a", expected: 0, events: [newEvent()] };
    const verdicts: AppendVerdict[] = await Promise.all(
      [command, command].map((c) => log.appender.append(c)),
    );
    expect(verdicts.map(seqsOf)).toEqual([[1], [1]]);
    expect((await readHead(log.database.db)).seq).toBe(1);
  });

  test("an id that belongs to another event is refused, and so is half a repetition", async () => {
    await using log = await freshLog(server.url);
    const event = newEvent();
    await appendAll(log.appender, "a", [event]);
    const elsewhere = log.appender.append({ stream: "b", expected: 0, events: [event] });
    await expect(elsewhere).rejects.toMatchObject({ code: "INVALID" });
    const half = log.appender.append({ stream: "a", expected: 0, events: [event, newEvent()] });
    await expect(half).rejects.toMatchObject({ code: "INVALID" });
    expect((await readHead(log.database.db)).seq).toBe(1);
  });

  test("more commands than one batch holds are all answered", async () => {
    await using log = await freshLog(server.url);
    await using appender = new Appender(log.database, { maxCommands: 8, maxBytes: 20_000 });
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        appender.append({
          stream: `s-${i}`,
          expected: 0,
          events: [newEvent({ data: { text: "x".repeat(i * 400) } })],
        }),
      ),
    );
    expect(verdicts.flatMap(seqsOf)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });
});

describe("the log is never changed", () => {
  test("UPDATE, DELETE and TRUNCATE are refused, even of no rows", async () => {
    await using log = await freshLog(server.url);
    const { sql } = log.database;
    await appendAll(log.appender, "a", [newEvent()]);
    await expect(sql`update events set body = '{}'`).rejects.toThrow("never changed");
    await expect(sql`update events set body = '{}' where false`).rejects.toThrow("never changed");
    await expect(sql`delete from events`).rejects.toThrow("never changed");
    await expect(sql`truncate events cascade`).rejects.toThrow("never changed");
    await expect(
      sql`insert into events select * from events on conflict (seq) do update set body = '{}'`,
    ).rejects.toThrow("never changed");
    expect(await verify(log.database.db)).toMatchObject({ events: 1, findings: [] });
  });

  test("a service role may append and may not update, delete or truncate", async () => {
    await using log = await freshLog(server.url);
    const { sql, schema } = log.database;
    const role = `service_${randomUUID().replaceAll("-", "")}`;
    await sql.unsafe(`create role ${role} login password 'secret'`);
    try {
      await migrate(log.database, { serviceRole: role });
      await sql`alter table events disable trigger events_stay`;
      const url = new URL(server.url);
      url.username = role;
      url.password = "secret";
      await using service = await connect(url.href, { schema });
      await using appender = new Appender(service);
      await appendAll(appender, "a", [newEvent()]);
      for (const change of ["update events set body = ''", "delete from events", "truncate events cascade"]) {
        await expect(service.sql.unsafe(change)).rejects.toThrow("permission denied");
      }
      expect(await eraseActor(service, "ada")).toBe(1);
    } finally {
      await sql`drop owned by ${sql(role)}`;
      await sql`drop role ${sql(role)}`;
    }
  });
});
