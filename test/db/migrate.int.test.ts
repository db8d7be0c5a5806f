import { randomUUID } from "node:crypto";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "@sluice/db/connect";
import { prepareEvent } from "@sluice/db/log/event-body";
import { readAll } from "@sluice/db/log/read";
import { saltSource } from "@sluice/db/log/salts";
import { verify } from "@sluice/db/log/verify";
import { migrate } from "@sluice/db/migrate";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collect, freshLog, newEvent } from "./log-fixture.ts";

let server: PostgresServer;
let directory: string;
beforeAll(async () => {
  server = await startPostgres();
  directory = await mkdtemp(join(tmpdir(), "sluice-migrations-"));
  await cp(workspace("migrations"), directory, { recursive: true });
});
afterAll(async () => {
  await rm(directory, { recursive: true });
  await server.stop();
});

function workspace(folder: string): string {
  return fileURLToPath(new URL(`../../db/${folder}`, import.meta.url));
}

function newSchema(): string {
  return `t_${randomUUID().replaceAll("-", "")}`;
}

test("processes that start at once migrate once, and again changes nothing", async () => {
  const schema = newSchema();
  const databases = await Promise.all(Array.from({ length: 4 }, () => connect(server.url, { schema })));
  try {
    await Promise.all(databases.map((database) => migrate(database)));
    const [first] = databases;
    if (!first) throw new Error("no database");
    const applied = () => first.sql`select name, digest, applied_at from migrations order by number`;
    const names = (await applied()).map(({ name }) => name);
    expect(names).toEqual((await readdir(workspace("migrations"))).sort());
    const before = await applied();
    await migrate(first);
    expect(await applied()).toEqual(before);
    await first.sql`drop schema ${first.sql(schema)} cascade`;
  } finally {
    await Promise.all(databases.map((database) => database.close()));
  }
});

test("a file that fails leaves nothing of the whole run behind", async () => {
  await using database = await connect(server.url, { schema: newSchema() });
  const bad = join(directory, "9999-bad.sql");
  await writeFile(bad, "create table good (x int); create table bad (x nonsense);");
  await expect(migrate(database, { directory })).rejects.toThrow("nonsense");
  await rm(bad);
  expect(await database.sql`select from pg_namespace where nspname = ${database.schema}`).toHaveLength(0);
});

test("a file edited after it ran, and a database newer than the code, stop the start by name", async () => {
  await using log = await freshLog(server.url);
  const extra = join(directory, "9998-extra.sql");
  await writeFile(extra, "create table extra (x int);");
  await migrate(log.database, { directory });
  await writeFile(extra, "create table extra (x bigint);");
  await expect(migrate(log.database, { directory })).rejects.toThrow("9998-extra.sql was edited");
  await rm(extra);
  await expect(migrate(log.database, { directory })).rejects.toThrow(
    "9998-extra.sql, which this version doesn't know",
  );
});

test("two files with one number are refused", async () => {
  await using database = await connect(server.url, { schema: newSchema() });
  const twin = join(directory, "0001-twin.sql");
  await writeFile(twin, "select 1;");
  await expect(migrate(database, { directory })).rejects.toThrow("shares its number");
  await rm(twin);
});

test("every drizzle table has the columns that the migrations make, and the other way round", async () => {
  await using log = await freshLog(server.url);
  const files = (await readdir(workspace("schema"))).filter((name) => name.endsWith(".ts"));
  const modules = await Promise.all(files.map((name) => import(join(workspace("schema"), name))));
  const tables = modules
    .flatMap((module: object) => Object.values(module))
    .filter((value) => is(value, PgTable));
  const declared = tables.flatMap((table) => {
    const { name, columns } = getTableConfig(table);
    return columns.map(
      (column) => `${name}.${column.name} ${column.getSQLType()}${column.notNull ? " not null" : ""}`,
    );
  });
  const actual = await log.database.sql<{ line: string }[]>`
    select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || case when a.attnotnull then ' not null' else '' end as line
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace = ${log.database.schema}::regnamespace and c.relkind = 'r' and a.attnum > 0
       and not a.attisdropped and c.relname <> 'migrations'`;
  expect(actual.map(({ line }) => line).sort()).toEqual(declared.sort());
});

test("a log with two rows of personal data beside an event keeps what it holds, and what was erased stays so", async () => {
  const schema = newSchema();
  await using database = await connect(server.url, { schema });
  const { sql, db } = database;
  const older = await mkdtemp(join(tmpdir(), "sluice-migrations-"));
  try {
    for (const name of await readdir(workspace("migrations")))
      if (name < "0130") await cp(join(workspace("migrations"), name), join(older, name));
    await migrate(database, { directory: older });
    const newSalt = saltSource();
    const written = ["ada", "bob", "carol"].map((actor, n) =>
      prepareEvent(newEvent({ actor, reason: `reason ${n}` }), "a", n + 1, newSalt),
    );
    await sql`
      select from append_batch(
        ${["a"]}::text[], ${[0]}::bigint[], ${[written.length]}::integer[], ${written.map(({ body }) => body)}::text[],
        ${written.map(({ actor }) => actor.value)}::text[],
        ${written.map(({ actor }) => actor.salt)}::text[],
        ${written.map(({ reason }) => reason.value)}::text[],
        ${written.map(({ reason }) => reason.salt)}::text[])`;
    await sql`delete from personal using events where event_id = id and seq = 2`;
    await migrate(database);
    expect(await verify(db)).toMatchObject({ events: 3, findings: [] });
    const kept = (await collect(readAll(db))).map(({ meta }) => [meta.actor, meta.reason]);
    expect(kept).toEqual([
      ["ada", "reason 0"],
      [null, null],
      ["carol", "reason 2"],
    ]);
  } finally {
    await sql`drop schema if exists ${sql(schema)} cascade`;
    await rm(older, { recursive: true });
  }
});

test("a schema name that could be anything else is refused", async () => {
  await expect(connect(server.url, { schema: "a; drop" })).rejects.toThrow("can't be the name");
});
