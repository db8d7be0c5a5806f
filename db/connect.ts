import type { PgDatabase } from "drizzle-orm/pg-core";
import { drizzle, type PostgresJsDatabase, type PostgresJsQueryResultHKT } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { arrayTypes, exactly } from "./array-types.ts";
import { type Logger, silent } from "./logger.ts";
import { createSockets } from "./socket.ts";
import { createTransactions } from "./transactions.ts";
import { waitForPostgres } from "./wait-for-postgres.ts";

/**
 * The way to Postgres.
 *
 * 1. Everything of ours lives in one Postgres schema, reached by search_path: no statement names it.
 * 2. No statement, lock or idle transaction lasts for ever.
 * 3. A connection that is lost is an error of whoever used it and no more, in transactions too (transactions.ts).
 * 4. int8 comes back as a number; beyond 2^53 it throws.
 *
 * Never use `sql.json()` nor pass a Date on `sql`: drizzle turns off that client's JSON and date serializers.
 * Pass JSON text (`${text}::text::jsonb`) and ISO strings; timestamps come back as text.
 */
export type Sql = postgres.Sql<{ bigint: number }>;
export type Db = PostgresJsDatabase;
/** A drizzle database or a transaction of it. */
export type Queryable = PgDatabase<PostgresJsQueryResultHKT>;
export type Tx = Parameters<Parameters<Db["transaction"]>[0]>[0];

export interface ConnectOptions {
  /** The Postgres schema; `sluice` unless said. */
  schema?: string;
  log?: Logger;
  /** Connections of the pool. */
  max?: number;
  /** How long to wait for Postgres; for ever unless said. */
  waitMs?: number;
  /** Ends the waiting. */
  signal?: AbortSignal;
  /** Folder of a UNIX socket, or a host, instead of the URL's. */
  host?: string;
}

export interface ClientOptions {
  max: number;
  name: string;
  statementTimeoutMs: number;
  /** for ever unless said */
  idleTimeoutMs?: number;
  /** a connection of it was closed, by whomever */
  onClose?: () => void;
}

export interface Database extends AsyncDisposable {
  readonly sql: Sql;
  readonly db: Db;
  readonly schema: string;
  /** A further client of its own on the same schema, for who must be able to break it off. Its user ends it. */
  client(options: ClientOptions): Sql;
  /** Further connections to it that find tables of the schema `other` before its own. Their user closes them. */
  behind(other: string): Database;
  /** Lets what is under way end (5 s), then closes. */
  close(): Promise<void>;
}

const int8 = {
  to: 20,
  from: [20],
  serialize: (value: number) => String(value),
  parse: exactly,
};

const STATEMENT_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 60_000;

export async function connect(url: string, options: ConnectOptions = {}): Promise<Database> {
  const schema = options.schema ?? "sluice";
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema))
    throw new Error(`${schema} can't be the name of a Postgres schema`);
  const database = open(url, schema, schema, options);
  try {
    await waitForPostgres(database.sql, {
      log: options.log ?? silent,
      waitMs: options.waitMs,
      signal: options.signal,
    });
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

function open(url: string, schema: string, searchPath: string, options: ConnectOptions): Database {
  function client({ max, name, statementTimeoutMs, idleTimeoutMs, onClose }: ClientOptions): Sql {
    return postgres(url, {
      ...{ socket: createSockets() }, // which its types don't know of
      ...(options.host === undefined ? {} : { host: options.host }),
      ...(onClose === undefined ? {} : { onclose: onClose }),
      ...(idleTimeoutMs === undefined ? {} : { idle_timeout: idleTimeoutMs / 1000 }),
      max,
      types: { bigint: int8, ...arrayTypes },
      fetch_types: false,
      connect_timeout: 5,
      backoff: (attempt) => Math.min(0.05 * 2 ** attempt, 1),
      onnotice: () => {},
      connection: {
        application_name: name,
        search_path: searchPath,
        statement_timeout: statementTimeoutMs,
        lock_timeout: 10_000,
        idle_in_transaction_session_timeout: 30_000,
      },
    });
  }

  const max = options.max ?? 10;
  const common = { name: "sluice", statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const transactions = createTransactions((onClose) => {
    const lane = client({ ...common, max: 1, idleTimeoutMs: IDLE_TIMEOUT_MS, onClose });
    drizzle(lane); // sets how this client reads and writes timestamps and JSON
    return lane;
  }, max);
  const sql: Sql = Object.assign(client({ ...common, max }), { begin: transactions.begin });
  async function close(): Promise<void> {
    await Promise.all([transactions.close(), sql.end({ timeout: 5 })]);
  }
  const behind = (other: string) => open(url, schema, `${other}, ${searchPath}`, options);
  return { sql, db: drizzle(sql), schema, client, behind, close, [Symbol.asyncDispose]: close };
}
