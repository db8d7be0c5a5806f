import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { sha256Hex } from "@sluice/proto/base/digest";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Database } from "./connect.ts";
import { type Logger, silent } from "./logger.ts";

/**
 * Brings the schema to what this code expects. Migrations are plain SQL files, `migrations/NNNN-name.sql`, run
 * in the order of their numbers.
 *
 * 1. All or nothing: every missing file runs in one transaction.
 * 2. Any number of processes may call it at once: one does the work, under an advisory lock.
 * 3. A file that has run is never edited: its digest is recorded, and a difference stops the start.
 * 4. A database newer than the code stops the start, by name.
 *
 * Files name no schema (search_path has it). To add a table: the next free number, a new file, and its drizzle
 * table in `schema/`; a test holds the two against each other.
 */
export interface MigrateOptions {
  directory?: string;
  log?: Logger;
  /** A role that may append and read but not change the log; skipped where there is none of that name. */
  serviceRole?: string;
}

interface Migration {
  number: number;
  name: string;
  text: string;
  digest: string;
}

export async function migrate(database: Database, options: MigrateOptions = {}): Promise<void> {
  const { log = silent, serviceRole = "sluice_service" } = options;
  const migrations = await readMigrations(
    options.directory ?? fileURLToPath(new URL("./migrations/", import.meta.url)),
  );
  const { schema } = database;
  await database.sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`;
    await tx`set local lock_timeout = '60s'`;
    await tx`select pg_advisory_xact_lock(hashtextextended(${`sluice migrations of ${schema}`}, 0))`;
    await tx`create schema if not exists ${tx(schema)}`;
    await tx`create table if not exists migrations (
      number integer primary key, name text not null, digest text not null, applied_at timestamptz not null default now()
    )`;
    const applied = await tx<{ number: number; name: string; digest: string }[]>`
      select number, name, digest from migrations order by number`;
    for (const row of applied) checkApplied(row, migrations);
    const missing = migrations.filter(({ number }) => !applied.some((row) => row.number === number));
    for (const { number, name, text, digest } of missing) {
      await tx.unsafe(text);
      await tx`insert into migrations (number, name, digest) values (${number}, ${name}, ${digest})`;
      log.info({ migration: name, schema }, "migrated");
    }
    const [role] = await tx`select from pg_roles where rolname = ${serviceRole}`;
    if (role) {
      const service = tx(serviceRole);
      await tx`grant usage on schema ${tx(schema)} to ${service}`;
      await tx`grant select, insert, update, delete on all tables in schema ${tx(schema)} to ${service}`;
      await tx`revoke update, delete, truncate on events, signed_checkpoints from ${service}`;
      await tx`revoke insert, update, delete, truncate on migrations from ${service}`;
    }
  });
}

function checkApplied(
  row: { number: number; name: string; digest: string },
  migrations: readonly Migration[],
) {
  const known = migrations.find(({ number }) => number === row.number);
  if (!known) {
    throw new SluiceError(
      "REFUSED",
      `the database has migration ${row.name}, which this version doesn't know`,
      {
        cure: "start the version that made it, or a newer one",
      },
    );
  }
  if (known.digest !== row.digest) {
    throw new SluiceError("REFUSED", `migration ${row.name} was edited after it had run here`, {
      cure: "restore the file and put the change into a new one",
    });
  }
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  const migrations = await Promise.all(
    names.map(async (name) => {
      const number = Number(/^(\d{4})-[a-z0-9-]+\.sql$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(number)) throw new Error(`${name} isn't named NNNN-name.sql`);
      const text = await readFile(`${directory}/${name}`, "utf8");
      return { number, name, text, digest: sha256Hex(text) };
    }),
  );
  migrations.forEach(({ number, name }, index) => {
    if (migrations[index + 1]?.number === number)
      throw new Error(`${name} shares its number with another migration`);
  });
  return migrations;
}
