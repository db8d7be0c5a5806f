import { sha256Hex } from "@sluice/proto/base/digest";
import type { Sql } from "../connect.ts";

/** The schema in which a projection of `schema` is rebuilt. */
export function shadowOf(schema: string, projection: string): string {
  return `sluice_rebuild_${sha256Hex(`${schema} ${projection}`).slice(0, 16)}`;
}

/** Empty copies of the tables, with their defaults, constraints, rights, and indexes under the names they have. */
export async function makeShadow(
  sql: Sql,
  { shadow, live, tables }: { shadow: string; live: string; tables: readonly string[] },
): Promise<void> {
  await sql.unsafe(`drop schema if exists ${shadow} cascade`);
  await sql.unsafe(`create schema ${shadow}`);
  for (const table of tables) {
    await sql.unsafe(`create table ${shadow}.${table} (like ${live}.${table} including all)`);
  }
  // `like` names indexes anew: a later migration must find them under their own
  const indexes = await sql<{ named: string; own: string }[]>`
    with every as (
      select schemaname, tablename, indexname,
             regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX \\S+ ON \\S+ ', '\\1') as definition
        from pg_indexes
       where schemaname in (${shadow}, ${live}))
    select copy.indexname as named, original.indexname as own
      from every as copy
      join every as original using (tablename, definition)
     where copy.schemaname = ${shadow} and original.schemaname = ${live} and copy.indexname <> original.indexname`;
  for (const { named, own } of indexes) {
    await sql.unsafe(`alter index ${shadow}.${named} rename to ${own}`);
  }
  const rights = await sql<{ name: string; privileges: string; role: string }[]>`
    select c.relname as name, string_agg(a.privilege_type, ', ') as privileges, a.grantee::regrole::text as role
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace and n.nspname = ${live}
     cross join lateral aclexplode(c.relacl) as a
     where c.relkind = 'r' and c.relname = any(${[...tables]}::text[])
     group by c.relname, a.grantee`;
  for (const { name, privileges, role } of rights) {
    await sql.unsafe(`grant ${privileges} on ${shadow}.${name} to ${role}`);
  }
}
