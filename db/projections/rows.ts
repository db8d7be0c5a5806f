import { getTableColumns } from "drizzle-orm";
import { getTableConfig, type PgTable } from "drizzle-orm/pg-core";
import type { Tx } from "../connect.ts";
import { together } from "./together.ts";
import { wayOfEvery, writeRound } from "./write-rows.ts";

/**
 * What a page of events makes of tables: gathered row by row, then written in a few statements.
 *
 * 1. It ends as if each change had been written at once, in its order.
 * 2. Changes of one row become one change, and changes of many rows one statement. A change that can't be joined exactly
 *    with those before it begins a new round, which is written after them.
 * 3. Nothing is read: what a change depends on is known before.
 *
 * Rows are plain JSON, named as in the drizzle table; a value that is undefined is none.
 */
export interface Rows {
  /** Its key must be new. */
  insert<T extends PgTable>(table: T, row: T["$inferInsert"]): void;
  /** `ifNew` are the further values of a row that isn't there yet. */
  upsert<T extends PgTable>(
    table: T,
    row: Partial<T["$inferInsert"]>,
    ifNew?: Partial<T["$inferInsert"]>,
  ): void;
  /** Nothing where there is no row of that key. */
  update<T extends PgTable>(table: T, key: Partial<T["$inferSelect"]>, set: Partial<T["$inferInsert"]>): void;
  remove<T extends PgTable>(table: T, key: Partial<T["$inferSelect"]>): void;
  /** Every row with these values, which `set` must change, so that it is done once. */
  updateEvery<T extends PgTable>(
    table: T,
    having: Partial<T["$inferSelect"]>,
    set: Partial<T["$inferInsert"]>,
  ): void;
  write(tx: Tx): Promise<void>;
}

export type Row = Record<string, unknown>;

export interface Change {
  kind: "insert" | "upsert" | "update" | "remove";
  key: Row;
  set: Row;
  ifNew: Row;
}

export interface Every {
  having: Row;
  set: Row;
}

/** What is written together: first `every`, then the changes, each of another row. */
export interface Round {
  every: Map<string, Every>;
  changes: Map<string, Change>;
}

interface Open extends Round {
  onlyInserts: boolean;
  /** of `every`: all of one way, so that none makes what another looks for */
  way?: string;
  /** what is inserted, by its values in the columns that `every` looks at */
  alike?: { names: readonly string[]; changes: Map<string, Change[]> };
}

export function gatherRows(): Rows {
  const gathered = new Map<PgTable, { keys: readonly string[]; rounds: Open[] }>();

  function of(table: PgTable): { keys: readonly string[]; rounds: Open[]; round: Open } {
    const known = gathered.get(table) ?? { keys: keysOf(table), rounds: [] };
    gathered.set(table, known);
    return { ...known, round: known.rounds.at(-1) ?? begin(known.rounds) };
  }

  function change(table: PgTable, kind: Change["kind"], given: Row, values: Row, ifNew: Row = {}): void {
    const { keys, round, rounds } = of(table);
    const key = only(keys, given);
    const one = { kind, key, set: defined(values), ifNew: defined(ifNew) };
    const id = idOf(keys, key);
    const before = round.changes.get(id);
    if (before === undefined) add(round, id, one);
    else if (!join(round, before, one)) add(begin(rounds), id, one);
  }

  return {
    insert: (table, row) => change(table, "insert", row, row),
    upsert: (table, row, ifNew) => change(table, "upsert", row, row, ifNew),
    update(table, key, set) {
      if (Object.keys(defined(set)).length > 0) change(table, "update", key, set);
    },
    remove: (table, key) => change(table, "remove", key, {}),

    updateEvery(table, having, values) {
      const { round: last, rounds } = of(table);
      const every = { having, set: defined(values) };
      const way = wayOfEvery(every);
      const fits = last.onlyInserts && (last.way === undefined || last.way === way);
      const round = fits ? last : begin(rounds);
      round.way = way;
      const names = Object.keys(having);
      const id = idOf(names, having);
      if (!round.every.has(id)) round.every.set(id, every);
      round.alike ??= inserted(round, names);
      const { changes } = round.alike;
      const meant = changes.get(id) ?? [];
      changes.delete(id);
      for (const one of meant) {
        Object.assign(one.set, every.set);
        file(round.alike, one);
      }
    },

    async write(tx) {
      await together(
        [...gathered].map(async ([table, { rounds }]) => {
          for (const round of rounds) await writeRound(tx, table, round);
        }),
      );
    },
  };
}

function begin(rounds: Open[]): Open {
  const round: Open = { every: new Map(), changes: new Map(), onlyInserts: true };
  rounds.push(round);
  return round;
}

function add(round: Open, id: string, one: Change): void {
  round.changes.set(id, one);
  if (one.kind !== "insert") round.onlyInserts = false;
  else if (round.alike) file(round.alike, one);
}

/** Puts a change of a row into the one before it; false where the two together would be another thing. */
function join(round: Open, before: Change, one: Change): boolean {
  const { kind } = one;
  if (before.kind === "remove") return kind === "update" || kind === "remove";
  if (kind === "insert") return false;
  if (kind === "remove") {
    if (before.kind === "insert") return false;
    Object.assign(before, one);
    return true;
  }
  if (kind === "upsert" && before.kind === "update") return false;
  Object.assign(before.set, one.set);
  if (before.kind === "insert") delete round.alike;
  return true;
}

type Alike = NonNullable<Open["alike"]>;

function inserted(round: Round, names: readonly string[]): Alike {
  const alike: Alike = { names, changes: new Map() };
  for (const one of round.changes.values()) file(alike, one);
  return alike;
}

function file({ names, changes }: Alike, one: Change): void {
  const id = idOf(names, one.set);
  const its = changes.get(id);
  if (its) its.push(one);
  else changes.set(id, [one]);
}

/** What is absent in a row is null. */
function idOf(names: readonly string[], values: Row): string {
  return JSON.stringify(names.map((name) => values[name] ?? null));
}

function defined(values: Row): Row {
  const kept: Row = {};
  for (const name in values) if (values[name] !== undefined) kept[name] = values[name];
  return kept;
}

function only(names: readonly string[], values: Row): Row {
  const kept: Row = {};
  for (const name of names) kept[name] = values[name];
  return kept;
}

function keysOf(table: PgTable): string[] {
  const { columns, primaryKeys } = getTableConfig(table);
  const names = new Set([
    ...columns.filter(({ primary }) => primary).map(({ name }) => name),
    ...primaryKeys.flatMap((key) => key.columns.map(({ name }) => name)),
  ]);
  return Object.entries(getTableColumns(table)).flatMap(([name, column]) =>
    names.has(column.name) ? [name] : [],
  );
}
