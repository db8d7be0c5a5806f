import type { Database } from "@sluice/db/connect";
import { projection } from "@sluice/db/projections/projection";
import { bigint, pgTable, text } from "drizzle-orm/pg-core";
import { freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

/** The worked example: which lists there are, and which event each came from. */
export const exampleTable = pgTable("example_lists", {
  name: text().primaryKey(),
  createdSeq: bigint("created_seq", { mode: "number" }).notNull(),
});

export const exampleLists = projection({
  name: "example-lists",
  tables: [exampleTable],
  on: {
    ListCreated(rows, { seq, data }) {
      rows.insert(exampleTable, { name: data.list, createdSeq: seq });
    },
    ListRetired(rows, { data }) {
      rows.remove(exampleTable, { name: data.list });
    },
  },
});

export function created(list: string) {
  return newEvent({ type: "ListCreated", data: { list, families: [4], description: "" } });
}

export function retired(list: string) {
  return newEvent({ type: "ListRetired", data: { list } });
}

export async function exampleLog(url: string): Promise<LogFixture> {
  const log = await freshLog(url);
  await log.database.sql`create table example_lists (name text primary key, created_seq bigint not null)`;
  return log;
}

export async function rows({ db }: Database): Promise<string[]> {
  return (await db.select().from(exampleTable).orderBy(exampleTable.name)).map(
    (row) => `${row.name}@${row.createdSeq}`,
  );
}
