import type { Database } from "@sluice/db/connect";
import type { Projection } from "@sluice/db/projections/projection";
import { eq } from "drizzle-orm";
import { bigint, pgTable, text } from "drizzle-orm/pg-core";
import { freshLog, type LogFixture, newEvent } from "./log-fixture.ts";

/** The worked example: which lists there are, and which event each came from. */
export const exampleTable = pgTable("example_lists", {
  name: text().primaryKey(),
  createdSeq: bigint("created_seq", { mode: "number" }).notNull(),
});

export const exampleLists: Projection = {
  name: "example-lists",
  tables: [exampleTable],
  async apply(tx, event) {
    switch (event.type) {
      case "ListCreated":
        await tx.insert(exampleTable).values({ name: event.data.list, createdSeq: event.seq });
        return;
      case "ListRetired":
        await tx.delete(exampleTable).where(eq(exampleTable.name, event.data.list));
        return;
    }
  },
};

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
