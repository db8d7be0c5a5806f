import { getTableColumns, getTableName, type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { Tx } from "../connect.ts";
import type { Change, Every, Round, Row } from "./rows.ts";

/**
 * The statements of a round (rows.ts): one for all rows that change in the same way. They travel as one JSON text, which
 * Postgres reads as rows of the table itself.
 */
export async function writeRound(tx: Tx, table: PgTable, { every, changes }: Round): Promise<void> {
  for (const alike of groups([...every.values()], wayOfEvery)) await tx.execute(updateEvery(table, alike));
  for (const alike of groups([...changes.values()], wayOfChange))
    await tx.execute(STATEMENTS[alike[0].kind](table, alike));
}

type Some<T> = readonly [T, ...T[]];

const STATEMENTS: Record<Change["kind"], (table: PgTable, alike: Some<Change>) => SQL> = {
  insert: (table, alike) => insert(table, alike),

  upsert(table, alike) {
    const [{ key, set }] = alike;
    const changed = Object.keys(set).filter((name) => !Object.hasOwn(key, name));
    const assigned = changed.map((name) => sql`${column(table, name)} = excluded.${column(table, name)}`);
    const then = assigned.length === 0 ? sql`nothing` : sql`update set ${comma(assigned)}`;
    return sql`${insert(table, alike)} on conflict (${columns(table, Object.keys(key))}) do ${then}`;
  },

  update(table, alike) {
    const [{ key, set }] = alike;
    const rows = alike.map((one) => ({ ...one.set, ...one.key }));
    return sql`update ${named(table)} as t set ${assign(table, Object.keys(set))}
                 from ${rowsOf(table, rows)} where ${equal(table, Object.keys(key))}`;
  },

  remove(table, alike) {
    const [{ key }] = alike;
    const rows = alike.map((one) => one.key);
    return sql`delete from ${named(table)} as t using ${rowsOf(table, rows)} where ${equal(table, Object.keys(key))}`;
  },
};

function insert(table: PgTable, alike: Some<Change>): SQL {
  const rows = alike.map(({ set, ifNew }) => ({ ...ifNew, ...set }));
  const names = columns(table, Object.keys(rows[0] ?? {}));
  return sql`insert into ${named(table)} (${names}) select ${names} from ${rowsOf(table, rows)}`;
}

/** What is null, true or false stands in the statement itself: an index of such rows alone is found by it. */
function updateEvery(table: PgTable, alike: Some<Every>): SQL {
  const [{ having, set }] = alike;
  const names = Object.keys(having);
  const spelt = names
    .filter((name) => isSpelt(having[name]))
    .map((name) => sql`t.${column(table, name)} is ${sql.raw(String(having[name]))}`);
  const compared = names.filter((name) => !isSpelt(having[name]));
  if (compared.some((name) => Object.hasOwn(set, name))) throw new Error("what rows are found by is set");
  const rows = alike.map((one) => ({
    ...Object.fromEntries(compared.map((name) => [name, one.having[name]])),
    ...one.set,
  }));
  return sql`update ${named(table)} as t set ${assign(table, Object.keys(set))}
               from ${rowsOf(table, rows)} where ${sql.join([...spelt, equal(table, compared)], sql` and `)}`;
}

function isSpelt(value: unknown): value is boolean | null {
  return value === null || typeof value === "boolean";
}

export function wayOfEvery({ having, set }: Every): string {
  const spelt = Object.entries(having).map(([name, value]) => [name, isSpelt(value) ? value : ""]);
  return JSON.stringify([spelt, Object.keys(set)]);
}

function wayOfChange({ kind, set, ifNew }: Change): string {
  return `${kind} ${Object.keys(set)} ${Object.keys(ifNew)}`;
}

function groups<T>(all: readonly T[], wayOf: (one: T) => string): Some<T>[] {
  return [...Map.groupBy(all, wayOf).values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [[first, ...others] as const],
  );
}

function named(table: PgTable): SQL {
  return sql.raw(getTableName(table));
}

function column(table: PgTable, name: string): SQL {
  return sql.raw(columnName(table, name));
}

function columns(table: PgTable, names: readonly string[]): SQL {
  return comma(names.map((name) => column(table, name)));
}

function assign(table: PgTable, names: readonly string[]): SQL {
  return comma(names.map((name) => sql`${column(table, name)} = r.${column(table, name)}`));
}

function equal(table: PgTable, names: readonly string[]): SQL {
  return sql.join(
    names.map((name) => sql`t.${column(table, name)} = r.${column(table, name)}`),
    sql` and `,
  );
}

function comma(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

function columnName(table: PgTable, name: string): string {
  const found = getTableColumns(table)[name];
  if (found === undefined) throw new Error(`the table ${getTableName(table)} has no ${name}`);
  return found.name;
}

function rowsOf(table: PgTable, rows: readonly Row[]): SQL {
  const names = Object.keys(rows[0] ?? {}).map((name) => [name, columnName(table, name)] as const);
  const renamed = rows.map((row) => {
    const values: Row = {};
    for (const [name, column] of names) values[column] = row[name];
    return values;
  });
  return sql`json_populate_recordset(null::${named(table)}, ${JSON.stringify(renamed)}::text::json) as r`;
}
