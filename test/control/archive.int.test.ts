import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { archivesTold } from "@sluice/control/audit/archived-files";
import { checkBundle } from "@sluice/control/audit/check-bundle";
import { keptClaims } from "@sluice/control/audit/claims";
import { staysForEver } from "@sluice/control/audit/kept";
import { KeyedQueue } from "@sluice/control/context/keyed-queue";
import { ListBooks } from "@sluice/control/lists/books";
import { openArchives } from "@sluice/control/start/from-archives";
import { connect, type Database } from "@sluice/db/connect";
import { verify } from "@sluice/db/log/verify";
import { migrate } from "@sluice/db/migrate";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import type { Projection } from "@sluice/db/projections/projection";
import { Projector } from "@sluice/db/projections/projector";
import { rebuild } from "@sluice/db/projections/rebuild";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ArchiveView } from "@sluice/proto/api/archive";
import type { AuditBundleInput, Finding } from "@sluice/proto/api/proof";
import type { KeySet } from "@sluice/proto/base/sign";
import { EVENT_TYPES } from "@sluice/proto/events/event";
import { feedMessage } from "@sluice/proto/events/feed";
import { upcast } from "@sluice/proto/events/upcast";
import { keptDigest } from "@sluice/proto/wire/archive";
import { bundleEvent, bundleHeader } from "@sluice/proto/wire/bundle";
import type { ReportBody } from "@sluice/proto/wire/report";
import { signersOf } from "@sluice/proto/wire/succession";
import { getTableName, sql as statement } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSluice } from "../cli/sluice.ts";
import { tamper, tampered } from "../db/tampering.ts";
import { shellUnder } from "./page.ts";
import { ADMIN, portPolicy, startWorld, type World } from "./world.ts";

const PATIENCE_MS = 30_000;
/** An actor beside its event. */
const NAMED = /,"actor":\{[^}]*\}/;
const DAY_MS = 24 * 3_600_000;
let postgres: PostgresServer;
let world: World;
let folder: string;
let second: ArchiveView;
let keys: KeySet;
/** the first archive */
let whole: string;
/** when the first rollout was over */
let thenAt: string;

beforeAll(async () => {
  postgres = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), "sluice-archive-"));
  world = await startWorld(postgres.url);
  await world.join("s1", { role: "web" });
  await world.apply(portPolicy("a", 80));
  await rollOut(1);
  thenAt = world.clock.now().toISOString();
  await world.client.lists.create.mutate({ list: "bans" });
  await bookOf("bans");
  for (let n = 1; n <= 5; n += 1)
    await world.client.lists.change.mutate({ list: "bans", add: [`203.0.113.${n}`] });
  for (const [id, body] of SAID) await world.report("s1", body, id);
  await world.report("s1", drifted("sl-two"));
  const { plan } = await world.client.plans.request.mutate({ of: { policy: "a" } });
  world.pass(60_000);
  await world.planned(plan);
  const { lines } = await world.client.audit.bundle.query({});
  keys = bundleHeader.parse(JSON.parse(lines[0] ?? "").bundle).keys;
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

function drifted(object: string): ReportBody {
  const differences = [{ driver: "ipset" as const, kind: "missing" as const, object }];
  return { kind: "drift", generation: 1, action: "reported", differences };
}

/** What s1 said, each under its id. */
const SAID: readonly [string, ReportBody][] = [
  [randomUUID(), { kind: "rejected", what: "generation 9", reason: "signed by an unknown key" }],
  [randomUUID(), drifted("sl-one")],
];

/** As another control process has it, which looks at it now and then. */
const books = new ListBooks();
async function bookOf(list: string): Promise<{ rev: number; version: number; entries: number }> {
  await using database = await world.connect();
  return await books.use({ database, queue: new KeyedQueue(), epoch: 1 }, list, ({ state, version }) => ({
    ...{ rev: state.rev, version, entries: state.entries.size },
  }));
}

async function rollOut(generation: number): Promise<void> {
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", reason: "make it so" });
  await world.outcome("s1", generation, "confirmed");
  await world.rolledOut(rollout);
}

interface File {
  text: string;
  digest: string;
  hash: string;
}

async function exported(input: AuditBundleInput): Promise<File> {
  const lines: string[] = [];
  for (let at: AuditBundleInput["at"]; ; ) {
    const part = await world.client.audit.bundle.query({ ...input, ...(at && { at }) });
    lines.push(...part.lines);
    if (part.next === undefined) break;
    at = part.next;
  }
  const last = lines.findLast((line) => line.startsWith('{"event"')) ?? "";
  const { hash } = bundleEvent.parse(JSON.parse(last).event);
  const text = lines.map((line) => `${line}\n`).join("");
  return { text, hash, digest: createHash("sha256").update(text).digest("hex") };
}

async function check(file: File) {
  async function* lines() {
    yield* file.text.trimEnd().split("\n");
  }
  return await checkBundle(lines(), undefined);
}

/** As the command does it: the file first, and checked; then the log hears of it. */
async function archive(): Promise<{ file: File; from: number; to: number; view: ArchiveView }> {
  const { from, to } = await world.client.audit.archivable.query({});
  await waitUntil("all in the feed", PATIENCE_MS, () => (world.link.events.at(-1)?.seq ?? 0) >= to);
  const file = await exported({ from, to });
  expect(await check(file)).toMatchObject({ ok: true, from, to });
  const bytes = Buffer.byteLength(file.text);
  const { hash, digest } = file;
  await world.client.audit.archive.mutate({ from, to, hash, file: digest, bytes, reason: "a year is over" });
  let view = await world.client.audit.drop.mutate();
  while (view.droppedTo < view.to) view = await world.client.audit.drop.mutate();
  return { file, from, to, view };
}

async function rows(): Promise<number> {
  return await world.database(async ({ sql }) => {
    const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from events`;
    return row?.count ?? 0;
  });
}

const verified = () => world.client.audit.verify.query();

test("nothing of the last day is archived", async () => {
  await expect(world.client.audit.archivable.query({})).rejects.toThrow("there is nothing to archive");
  await expect(world.client.audit.archivable.query({ to: 3 })).rejects.toThrow("of the last day");
});

describe("what is archived", () => {
  let to: number;
  let file: File;

  beforeAll(async () => {
    world.pass(2 * DAY_MS);
    const before = await rows();
    const done = await archive();
    whole = done.file.text;
    ({ to, file } = done);
    expect(done).toMatchObject({ from: 1, view: { from: 1, to, file: file.digest, droppedTo: to } });
    expect(await rows()).toBe(before - to + done.view.kept + 1);
    expect(done.view.kept).toBeLessThan(to / 2);
  });

  test("is dropped, and the log is whole: it says which file has what, and what stayed", async () => {
    const { ok, findings, archived, events } = await verified();
    expect(findings).toEqual([]);
    expect(ok).toBe(true);
    expect(archived).toMatchObject({
      upTo: to,
      files: [{ from: 1, to, file: file.digest, hash: file.hash }],
    });
    expect(events).toBeGreaterThan(to);
  });

  test("is no gap for a control that read on before it: it opens its book of a list anew", async () => {
    expect(await bookOf("bans")).toEqual({ rev: 5, version: 6, entries: 5 });
  });

  test("leaves a fleet that goes on: rollouts, lists, plans, drift, and a control that starts anew", async () => {
    await world.apply(portPolicy("a", 81));
    await rollOut(2);
    await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.1"], del: ["203.0.113.1"] });
    await world.restart();
    world.pulse("s1");
    await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.2"] });
    expect(await world.client.lists.show.query({ list: "bans" })).toMatchObject({ rev: 8, total: 6 });
    await world.apply(portPolicy("a", 82));
    await rollOut(3);
    expect((await verified()).findings).toEqual([]);
  });

  test("is known when a server says it again, and isn't stored twice", async () => {
    const types = ["DriftDetected", "MessageRejected"];
    const { events } = await world.client.audit.log.query({ types });
    expect(events.map(({ type }) => type)).toEqual(["DriftDetected"]);
    await world.restart();
    for (const [id, body] of SAID) await world.report("s1", body, id);
    expect((await world.client.audit.log.query({ types })).events).toEqual(events);
  });

  /** A row that stayed and has none beside it: only its leaf tells what it was. */
  const REHASHED = "hash = sha256(prev_hash || int8send(seq) || sha256(convert_to(body, 'UTF8')))";

  test.each<[string, (kept: number, to: number) => string[], (kept: number, to: number) => object]>([
    [
      "an event that stayed and was edited",
      (kept) => [`update events set body = replace(body, '"data"', '"atad"') where seq = ${kept}`],
      (kept) => ({ tampering: "edited", seq: kept }),
    ],
    [
      "one that was edited with its hash",
      (kept) => [
        `update events set body = replace(body, 'make it so', 'no') || ' ' where seq = ${kept}`,
        `update events set ${REHASHED} where seq = ${kept}`,
      ],
      (kept) => ({ tampering: "edited", seq: kept }),
    ],
    [
      "one that was edited with its hash, and with its leaf in the tree",
      (kept) => [
        `update events set body = body || ' ' where seq = ${kept}`,
        `update events set ${REHASHED} where seq = ${kept}`,
        `update merkle_tiles set hashes = overlay(hashes placing
           (select sha256('\\x00'::bytea || hash) from events where seq = ${kept}) from ${(kept - 1) * 32 + 1} for 32)
          where level = 0 and tile = 0`,
      ],
      () => ({ tampering: expect.stringMatching(/edited|rewritten/) }),
    ],
    [
      "one that stayed and is gone",
      (kept) => [`delete from events where seq = ${kept}`],
      (kept) => ({ tampering: "deleted", seq: kept }),
    ],
    [
      "one that isn't archived and is gone",
      (_, to) => [`delete from events where seq = ${to + 2}`],
      (_, to) => ({ tampering: "deleted", seq: to + 2 }),
    ],
    [
      "a bound that was raised without an event, for others to go",
      (_, to) => [`update archived set up_to = ${to + 2}`, `delete from events where seq = ${to + 2}`],
      (_, to) => ({ tampering: "altered", seq: to + 1 }),
    ],
    [
      "one that was to stay and is taken off that list",
      (kept) => [
        `update archived set kept = array_remove(kept, ${kept}::bigint)`,
        `delete from events where seq = ${kept}`,
      ],
      () => ({ tampering: "altered" }),
    ],
    [
      "the leaf of one that is gone",
      () => ["update merkle_tiles set hashes = set_byte(hashes, 4 * 32, 7) where level = 0 and tile = 0"],
      () => ({ tampering: expect.stringMatching(/rewritten|tree/) }),
    ],
    [
      "an archive's event with another bound",
      (_, to) => [
        `update events set body = replace(body, '"to":${to}', '"to":${to + 1}') where type = 'LogArchived'`,
      ],
      () => ({ tampering: expect.stringMatching(/forged|deleted|altered|edited/) }),
    ],
  ])("doesn't hide %s", async (_, statements, expected) => {
    await using database = await world.connect();
    const kept = await alone(database, to);
    const { findings } = await tampered(database, statements(kept, to), async (db) => {
      const told = await archivesTold(db, signersOf(keys, []));
      const forged: Finding[] = [...told.findings];
      const found = await verify(db, {
        archives: told.archives,
        claimsBetween: keptClaims(db, signersOf(keys, []), forged),
      });
      return { findings: [...found.findings, ...forged].sort((a, b) => a.seq - b.seq) };
    });
    expect(findings[0]).toMatchObject(expected(kept, to));
  });

  test("goes by the database's own rule alone: nothing else is dropped, and no bound is set that no event tells of", async () => {
    await using database = await world.connect();
    const { sql } = database;
    const kept = await alone(database, to);
    for (const seq of [kept, to + 1])
      await expect(sql`delete from events where seq = ${seq}`).rejects.toThrow("never changed");
    await expect(sql`update archived set up_to = ${to + 1}`).rejects.toThrow("told by an event");
    await expect(sql`update archived set kept = '{}'`).rejects.toThrow("told by an event");
    await expect(sql`update archived set event_seq = ${to + 2}, kept = '{}'`).rejects.toThrow(
      "told by an event",
    );
    await expect(sql`delete from archived`).rejects.toThrow("told by an event");
    await expect(sql`truncate events`).rejects.toThrow("never changed");
    for (const type of [...EVENT_TYPES, "ServerPainted"]) {
      const [row] = await sql<{ may: boolean }[]>`select may_go(${type}) as may`;
      expect(row?.may, type).toBe(!staysForEver(type));
    }
  });

  test("isn't more for who has the service's login: an archive that control didn't sign is found, and lets nothing go that stays for ever", async () => {
    await using database = await world.connect();
    const role = `service_${randomUUID().replaceAll("-", "")}`;
    await database.sql.unsafe(`create role ${role} login password 'secret'`);
    await migrate(database, { serviceRole: role });
    const url = Object.assign(new URL(postgres.url), { username: role, password: "secret" });
    const undo = new Error("undo");
    const service = await connect(url.href, { schema: database.schema });
    const made = service.db.transaction(async (tx) => {
      const last = (await verified()).head.seq;
      const shadow = `create temp table archived as select true as one, 1::bigint as event_seq, ${last}::bigint as up_to,
        '{}'::bigint[] as kept, 0::bigint as dropped_to`;
      await tx.execute(statement.raw(shadow));
      const said = `'{"data":{"to":${to + 1},"keptDigest":"${keptDigest([])}"},"keys":{},"meta":{"at":"","correlation":"","actor":"","reason":""},
        "id":"","stream":"log","streamVersion":2,"type":"LogArchived","schemaVersion":1}'`;
      await tx.execute(
        statement.raw(`insert into events (seq, stream, stream_version, id, type, schema_version, body, prev_hash, hash, at, correlation)
          values (${last + 1}, 'log', 2, '${randomUUID()}', 'LogArchived', 1, ${said}, '', '', now(), '')`),
      );
      await tx.execute(
        statement.raw(`update ${database.schema}.archived
          set event_seq = ${last + 1}, up_to = ${to + 1}, kept = '{}', dropped_to = 0`),
      );
      await tx.execute(statement.raw("select * from drop_archived(100000::bigint)"));
      throw undo;
    });
    await expect(made).rejects.toMatchObject({
      cause: { message: expect.stringContaining("never changed") },
    });
    await service.close();
    await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  });

  test("is found by who asks for the past, with the files that have the rest", async () => {
    const files = [{ from: 1, to, file: file.digest }];
    const page = await world.client.audit.log.query({ list: "bans", limit: 1_000 });
    expect(page.archived).toMatchObject(files);
    expect((await world.client.audit.timeline.query({ server: "s1", limit: 1_000 })).archived).toMatchObject(
      files,
    );
    const recent = await world.client.audit.log.query({ since: world.clock.now().toISOString() });
    expect(recent.archived).toBeUndefined();
    const then = await world.client.audit.at.query({ time: thenAt, server: "s1" });
    expect(then).toMatchObject({
      archived: files,
      servers: [{ confirmed: { assigned: [{ policy: "a", revision: 1 }] } }],
    });
    const rule = "-p tcp --dport 80 -j DROP";
    expect(await world.client.audit.why.query({ server: "s1", rule, time: thenAt })).toMatchObject({
      revision: 1,
    });
    await expect(exported({})).rejects.toThrow(`events up to ${to} are archived`);
    expect(await check(await exported({ from: to + 1 }))).toMatchObject({ ok: true, from: to + 1 });
    const selection = await check(await exported({ types: ["PolicyRevised"] }));
    expect(selection).toMatchObject({ ok: true, from: expect.any(Number) });
    expect(selection.notes.join()).toContain(`events up to ${to} were archived`);
  });
});

test("a broker that came back empty is filled again without a gap: what is archived by its place alone", async () => {
  const { seq } = (await verified()).head;
  world.link.events.length = 0;
  await world.restart();
  await waitUntil("the feed", PATIENCE_MS, () => (world.link.events.at(-1)?.seq ?? 0) >= seq);
  const feed = world.link.events.map(({ text }) => feedMessage.parse(JSON.parse(text)));
  expect(feed.map((message) => message.seq)).toEqual(feed.map((_, index) => index + 1));
  expect(feed.filter((message) => "archived" in message).length).toBeGreaterThan(5);
  expect((await verified()).findings).toEqual([]);
});

test("dropping goes on from its event alone, whatever control has forgotten", async () => {
  const before = await verified();
  await world.restart((database) => tamper(database, "delete from archived"));
  await waitUntil("all dropped", PATIENCE_MS, async () => {
    const { to, droppedTo } = await world.client.audit.drop.mutate();
    return droppedTo === to;
  });
  expect(await verified()).toMatchObject({ ok: true, archived: before.archived });
});

test("archives follow each other, by the command, which overwrites no file and names them with all that is left; it checks log and files as one chain, also when one was erased in", async () => {
  await using sluice = await openSluice({ url: world.url, token: ADMIN });
  world.pass(2 * DAY_MS);
  const first = (await verified()).archived?.files[0];
  const { from, to } = await world.client.audit.archivable.query({});
  await waitUntil("all in the feed", PATIENCE_MS, () => (world.link.events.at(-1)?.seq ?? 0) >= to);
  const words = ["--to", String(to), "--out", "again.ndjson"];
  const refused = await sluice.error(["audit", "archive", ...words]);
  expect(refused).toMatchObject({ code: "REFUSED", cure: "say --yes" });
  await sluice.file("taken.ndjson", "something else");
  for (const command of [["archive", "--to", String(to), "--yes"], ["export"]]) {
    const there = await sluice.error(["audit", ...command, "--out", "taken.ndjson"]);
    expect(there).toMatchObject({ code: "REFUSED", message: expect.stringContaining("never overwritten") });
  }
  expect(await readFile(join(sluice.folder, "taken.ndjson"), "utf8")).toBe("something else");
  const view = await sluice.json("audit archive", [...words, "--yes", "--reason", "more"]);
  expect(view).toMatchObject({ from: (first?.to ?? 0) + 1, to, droppedTo: to });
  expect(view.from).toBe(from);
  const text = await readFile(join(sluice.folder, "again.ndjson"), "utf8");
  expect(createHash("sha256").update(text).digest("hex")).toBe(view.file);
  await writeFile(join(folder, "second.ndjson"), text);
  second = view;
  const one = await sluice.file("one.ndjson", whole.replace(NAMED, ""));
  const checked = await sluice.json("audit verify", ["--archive", one, "--archive", "again.ndjson"]);
  expect(checked).toMatchObject({
    ok: true,
    archived: { files: [{ from: 1 }, { from, to, file: view.file }] },
  });
  expect(checked.notes.join()).toContain("again.ndjson has events");
  expect(checked.notes.join()).toContain("something may have been erased in it");
  for (const all of [["--all"], ["--all", "--json"]]) {
    const { code, stderr } = await sluice.run(["audit", "log", ...all]);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(view.file) });
    expect(stderr).toContain(`events ${from} to ${to} are archived`);
  }
  const other = await sluice.file(
    "other.ndjson",
    whole.replace('\\"list\\":\\"bans\\"', '\\"list\\":\\"snab\\"'),
  );
  const { ok } = await sluice.json("audit verify", ["--archive", other], { code: 1 });
  expect(ok).toBe(false);
  await world.apply(portPolicy("a", 83));
  await rollOut(4);
  await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.3"] });
  expect((await verified()).findings).toEqual([]);
}, 180_000);

test("the page's commands find archives and log to be one, and take a name out of an archive", async () => {
  world.pass(60_000);
  await waitUntil("a checkpoint", PATIENCE_MS, () => world.link.told.length > 0);
  for (const message of world.link.told.slice(-1)) world.sees("s1", message);
  await waitUntil("s1's word", PATIENCE_MS, async () => {
    return (await world.client.servers.show.query({ server: "s1" })).witness !== undefined;
  });
  const texts = { "2024": whole, "2025": await readFile(join(folder, "second.ndjson"), "utf8") };
  const rest = (await exported({ from: second.to + 1 })).text;
  for (const [name, text] of Object.entries({ ...texts, rest }))
    await writeFile(join(folder, `${name}.ndjson`), text);
  const page = await readFile(new URL("../../docs/audit.md", import.meta.url), "utf8");
  const together = shellUnder(page, "## Archives and log as one, by hand");
  const said = await shell(`${together}\n${shellUnder(page, "## Checking one by hand")}`);
  expect(said).toMatch(/^\d+ events follow each other, and the last one was signed$/m);
  expect(said).toMatch(/^s1 has seen event \d+$/m);
  expect(said).not.toContain("another file");
  const erase = shellUnder(page, "### Erasing in an archive").replace(/^sluice .*$/m, "");
  await shell(`name=admin\n${erase}`);
  const text = await readFile(join(folder, "erased.ndjson"), "utf8");
  expect(text).not.toContain('"value":"admin"');
  expect(whole).toContain('"value":"admin"');
  expect(await check({ text, hash: "", digest: "" })).toMatchObject({ ok: true, to: second.from - 1 });
});

async function shell(script: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)("sh", ["-euc", script], { cwd: folder });
  return stdout + stderr;
}

test("the tables are made again of archives and log, and of the log alone not", async () => {
  await using database = await world.connect();
  const one = join(folder, "one.ndjson");
  await writeFile(one, whole);
  await expect(openArchives(database, [one])).rejects.toMatchObject({
    ...{ code: "REFUSED", cure: expect.stringContaining(second.file) },
  });
  const readStretch = await openArchives(database, [join(folder, "second.ndjson"), one]);
  for (const projection of [control, past]) {
    await world.database((db) => new Projector(db, { projections: [projection], upcast }).catchUp());
    const before = await contents(database, projection);
    await expect(rebuild(database, projection, { upcast })).rejects.toThrow("aren't in the log");
    await rebuild(database, projection, { upcast, batchSize: 7, readStretch });
    expect(await contents(database, projection)).toEqual(before);
  }
  await world.client.lists.change.mutate({ list: "bans", add: ["192.0.2.4"] });
});

async function contents({ sql }: Database, { tables }: Projection): Promise<unknown[]> {
  const all = [];
  for (const table of tables.map(getTableName)) {
    const rows = await sql.unsafe(`select t::text as row from ${table} as t`);
    all.push([table, rows.map(({ row }) => row).sort()]);
  }
  return all;
}

test("a person is erased from log and tables; the log says so, and not whose name it was", async () => {
  const { token } = await world.client.tokens.create.mutate({ name: "alice", role: "operator" });
  await world
    .as(token)
    .lists.change.mutate({ list: "bans", add: ["192.0.2.9"], reason: "I, Alice, was there" });
  const say = (reason: string) => world.client.audit.erase.mutate({ actor: "alice", reason });
  await expect(say("alice asked for it")).rejects.toThrow("has the name in it");
  expect(await say("request 4711")).toMatchObject({ events: 1, archives: [{ from: 1 }, {}] });
  await expect(say("request 4711")).rejects.toThrow("no event in the database has this name");
  const { events } = await world.client.audit.log.query({ limit: 5 });
  expect(events[0]).toMatchObject({
    ...{ type: "ActorErased", actor: "admin", reason: "request 4711", data: { events: 1 } },
  });
  const { changed } = await world.client.lists.show.query({ list: "bans" });
  expect(changed).toMatchObject({ actor: "(erased)", reason: "(erased)" });
  expect(JSON.stringify(events)).not.toMatch(/alice/i);
  expect((await world.client.audit.log.query({ text: "alice" })).events).toEqual([]);
  expect((await verified()).findings).toEqual([]);
});

/** The seq of an event that stayed, before and after which others are gone. */
async function alone({ sql }: Database, to: number): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select e.seq from events as e
     where e.seq < ${to} and not exists (select from events as o where o.seq in (e.seq - 1, e.seq + 1)) limit 1`;
  if (row === undefined) throw new Error("none stands alone");
  return row.seq;
}
