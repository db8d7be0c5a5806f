import { connect, type Database } from "@sluice/db/connect";
import { migrate } from "@sluice/db/migrate";
import type { Logger } from "../context/services.ts";

export interface DatabaseOptions {
  /** where the event log is; waited for until it is there */
  databaseUrl: string;
  /** Folder of Postgres' UNIX socket, instead of the URL's host. */
  databaseHost?: string | undefined;
  /** The Postgres schema; `sluice` unless said. */
  schema?: string | undefined;
  log?: Logger | undefined;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
}

/** The database, once it is there and has the tables that this version expects. */
export async function openDatabase(
  { databaseUrl, databaseHost, schema, log, signal }: DatabaseOptions,
  { max }: { max: number },
): Promise<Database> {
  const database = await connect(databaseUrl, {
    ...(schema !== undefined && { schema }),
    ...(databaseHost !== undefined && { host: databaseHost }),
    ...(signal && { signal }),
    ...(log && { log }),
    max,
  });
  try {
    await migrate(database, log && { log });
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
