import type { Database } from "@sluice/db/connect";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import { Projector } from "@sluice/db/projections/projector";
import { rebuild } from "@sluice/db/projections/rebuild";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { upcast } from "@sluice/proto/events/upcast";
import { getTableName } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  await world.join("s1", { role: "web" });
  await world.join("s2", { role: "db" });
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", reason: "make it so" });
  await world.outcome("s1", 1, "confirmed");
  await world.rolledOut(rollout);
  await world.client.servers.label.mutate({ server: "s2", set: { role: "spare" } });
  await world.client.lists.create.mutate({ list: "bans" });
  const add = ["203.0.113.1", "203.0.113.2", "2001:db8::1"];
  await world.client.lists.change.mutate({ list: "bans", add });
  await world.client.lists.change.mutate({ list: "bans", del: ["203.0.113.2"] });
  await world.client.fleet.freeze.mutate({ reason: "a holiday" });
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

const TABLES = [...control.tables, ...past.tables].map(getTableName);

/** Every row of every table, and every index, constraint and right by its name. */
async function whole({ sql, schema }: Database) {
  const contents: Record<string, unknown> = {};
  for (const table of TABLES) {
    const rows = await sql.unsafe(`select t::text as row from ${table} as t`);
    contents[table] = rows.map(({ row }) => row).sort();
  }
  const shape = await sql.unsafe(`
    select indexname as name, indexdef as what from pg_indexes where schemaname = '${schema}'
    union all
    select conrelid::regclass::text || ' ' || conname, pg_get_constraintdef(oid) from pg_constraint
     where connamespace = '${schema}'::regnamespace
    union all
    select relname, relacl::text from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r'
    order by 1, 2`);
  return { contents, shape: shape.map(({ name, what }) => `${name}: ${what}`) };
}

test("control's tables, rebuilt from the log, are what they were: rows, indexes, constraints and rights, and it goes on", async () => {
  await using database = await world.connect();
  const role = `reader_${database.schema}`;
  await database.sql.unsafe(`create role ${role}; grant select, insert on policies to ${role}`);
  // nobody waits for the tables of the past
  await new Projector(database, { projections: [control, past], upcast }).catchUp();
  const before = await whole(database);
  for (const table of ["policies", "assignments", "list_entries"])
    expect(before.contents[table]).not.toEqual([]);
  await database.sql`update policies set revision = 99`;
  await database.sql`delete from list_entries`;
  for (const projection of [control, past]) await rebuild(database, projection, { upcast, batchSize: 5 });
  expect(await whole(database)).toEqual(before);
  expect(before.shape.join("\n")).toContain(`${role}=ar`);
  await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  await world.client.fleet.thaw.mutate({ reason: "it is over" });
  await world.apply(portPolicy("a", 81));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", reason: "on it goes" });
  await world.outcome("s1", 2, "confirmed");
  await world.rolledOut(rollout);
});
