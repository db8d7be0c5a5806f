import type { Database, Queryable } from "@sluice/db/connect";
import { chainHash } from "@sluice/db/log/event-body";
import { sql as statement } from "drizzle-orm";

/** What somebody may do to the log who is a superuser of its database: the triggers are off meanwhile. */
export async function tamper({ sql }: Database, ...statements: string[]): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe("set local session_replication_role = replica");
    for (const statement of statements) await tx.unsafe(statement);
  });
}

/** The same for as long as `look` looks at it: it is undone again. */
export async function tampered<T>(
  { db }: Database,
  statements: readonly string[],
  look: (db: Queryable) => Promise<T>,
): Promise<T> {
  const seen: T[] = [];
  const undo = new Error("undo");
  await db
    .transaction(async (tx) => {
      await tx.execute(statement.raw("set local session_replication_role = replica"));
      for (const one of statements) await tx.execute(statement.raw(one));
      seen.push(await look(tx));
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  const [first] = seen;
  if (first === undefined) throw undo;
  return first;
}

/** Gives the events from `first` on other bodies, and all of them hashes that follow from each other. */
export async function rechain(
  database: Database,
  first: number,
  edit: (body: string, seq: number) => string,
): Promise<void> {
  const { sql } = database;
  const rows = await sql<{ seq: number; body: string; hash: Buffer }[]>`
    select seq, body, hash from events where seq >= ${first - 1} order by seq`;
  let previous: Buffer = first === 1 ? Buffer.alloc(32) : (rows.shift()?.hash ?? Buffer.alloc(0));
  const statements: string[] = [];
  for (const row of rows) {
    const body = edit(row.body, row.seq);
    const hash = chainHash(previous, row.seq, body);
    const [text, prev, next] = [body.replaceAll("'", "''"), hex(previous), hex(hash)];
    statements.push(
      `update events set body = '${text}', prev_hash = ${prev}, hash = ${next} where seq = ${row.seq}`,
    );
    previous = hash;
  }
  await tamper(database, ...statements, `update head set hash = ${hex(previous)}`);
}

function hex(bytes: Buffer): string {
  return `'\\x${bytes.toString("hex")}'`;
}

/** Two events change places, rows and all. */
export function swap(one: number, other: number): string[] {
  return [
    `update events set seq = -1 where seq = ${one}`,
    `update events set seq = ${one} where seq = ${other}`,
    `update events set seq = ${other} where seq = -1`,
  ];
}

/** The newest events are gone, and the log's end says so, too. */
export function cutOff(last: number): string[] {
  return [
    `delete from events where seq > ${last}`,
    `delete from personal where seq > ${last}`,
    `update head set seq = ${last}, hash = (select hash from events where seq = ${last})`,
    `delete from personal where seq > ${last}`,
  ];
}
