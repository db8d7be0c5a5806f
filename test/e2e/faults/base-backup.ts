import { execFile } from "node:child_process";
import { chown, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "@sluice/db/connect";

/**
 * A base backup as Postgres' manual has it made by hand ("Making a Base Backup Using the Low Level API"): the server
 * goes on meanwhile. Returns the folder that was copied.
 */
export async function takeBaseBackup(url: string, to: string): Promise<string> {
  await using database = await connect(url, { max: 1 });
  const { sql } = database;
  const [{ folder = "" } = {}] = await sql<{ folder: string }[]>`
    select current_setting('data_directory') as folder`;
  await sql`select pg_backup_start('a backup', true)`;
  await copyFolder(folder, to);
  const [{ label = "" } = {}] = await sql<{ label: string }[]>`
    select labelfile as label from pg_backup_stop(false)`;
  await copyFolder(join(folder, "pg_wal"), join(to, "pg_wal"));
  await rm(join(to, "postmaster.pid"), { force: true });
  await writeFile(join(to, "backup_label"), label);
  const { uid, gid } = await stat(folder);
  await chown(join(to, "backup_label"), uid, gid);
  return folder;
}

/** With owners, modes and times, as Postgres wants its files. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await promisify(execFile)("cp", ["-a", "--no-target-directory", from, to]);
}
