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

/** Two events change their bodies, and with it what they are found by; places and hashes stay. */
export function swapBodies(one: number, other: number): string[] {
  return [
    `update events set body = (select body from events e where e.seq = ${one} + ${other} - events.seq)
      where seq in (${one}, ${other})`,
  ];
}

/** Two events change who did them and why. */
export function swapPersons(one: number, other: number): string[] {
  return [
    `update personal set seq = -1 where seq = ${one}`,
    `update personal set seq = ${one} where seq = ${other}`,
    `update personal set seq = ${other} where seq = -1`,
  ];
}

/** An event that nobody appended takes the next place, sound in itself and with its own hash; those after it move on. */
export function insertAfter(seq: number): string[] {
  const place = seq + 1;
  const id = "7d9ee171-6f0c-4b36-9a4e-2f4a2a9b6c01";
  return [
    `update events set seq = -seq - 1 where seq > ${seq}`,
    "update events set seq = -seq where seq < 0",
    `update personal set seq = -seq - 1 where seq > ${seq}`,
    "update personal set seq = -seq where seq < 0",
    `insert into events
       (seq, stream, stream_version, id, type, schema_version, body, prev_hash, hash, at, correlation, policy)
     select ${place}, 'b', 1, '${id}', type, schema_version, made.body, hash,
            sha256(hash || int8send(${place}) || sha256(convert_to(made.body, 'UTF8'))), at, correlation, policy
       from events, lateral (select regexp_replace(regexp_replace(body,
              '"id":"[^"]+"', '"id":"${id}"'),
              '"stream":"a","streamVersion":\\d+', '"stream":"b","streamVersion":1') as body) made
      where seq = ${seq}`,
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
