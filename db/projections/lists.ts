import type { EventData } from "@sluice/proto/events/event";
import { EMPTY_LIST_DIGEST } from "@sluice/proto/wire/list-digest";
import { eq, sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { listEntryTable, listRevisionTable, listTable } from "../schema/lists.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const lists: Projection = {
  name: "lists",
  tables: [listEntryTable, listRevisionTable, listTable],
  async apply(tx, event) {
    switch (event.type) {
      case "ListCreated": {
        const { list, families, description } = event.data;
        const row = { families, description, retired: false, ...placeOf(event) };
        // a name used again goes on where its retired list ended: empty, at its last rev
        await tx
          .insert(listTable)
          .values({ list, ...row, rev: 0, digest: EMPTY_LIST_DIGEST, entries: 0 })
          .onConflictDoUpdate({ target: listTable.list, set: row });
        return;
      }
      case "ListChanged": {
        const { list, rev, digest } = event.data;
        const grown = (await addEntries(tx, event.data)) - (await removeEntries(tx, event.data));
        const [row] = await tx
          .update(listTable)
          .set({ rev, digest, entries: sql`${listTable.entries} + ${grown}`, ...placeOf(event) })
          .where(eq(listTable.list, list))
          .returning({ entries: listTable.entries });
        const entries = row?.entries ?? 0;
        await tx.insert(listRevisionTable).values({ list, rev, digest, entries, at: event.meta.at });
        return;
      }
      case "ListRetired":
        await tx
          .update(listTable)
          .set({ retired: true, ...placeOf(event) })
          .where(eq(listTable.list, event.data.list));
        return;
    }
  },
};

function placeOf(event: RecordedEvent) {
  return { ...decidedBy(event), version: event.streamVersion };
}

/** How many weren't there before. One statement for any number: the entries travel as one JSON text. */
async function addEntries(tx: Tx, { list, add }: EventData<"ListChanged">): Promise<number> {
  if (add.length === 0) return 0;
  const rows = await tx.execute<{ fresh: boolean }>(sql`
    insert into list_entries (list, entry, until)
    select ${list}, e.entry, e.until
      from json_to_recordset(${JSON.stringify(add)}::text::json) as e(entry text, until timestamptz)
        on conflict (list, entry) do update set until = excluded.until
    returning (xmax = 0) as fresh`);
  return rows.filter(({ fresh }) => fresh).length;
}

async function removeEntries(tx: Tx, { list, del }: EventData<"ListChanged">): Promise<number> {
  if (del.length === 0) return 0;
  const rows = await tx.execute(sql`
    delete from list_entries
     where list = ${list}
       and entry in (select json_array_elements_text(${JSON.stringify(del)}::text::json))
    returning 1`);
  return rows.length;
}
