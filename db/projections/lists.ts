import { EMPTY_LIST_DIGEST } from "@sluice/proto/wire/list-digest";
import { sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { listEntryTable, listRevisionTable, listTable } from "../schema/lists.ts";
import { decidedBy } from "./decided-by.ts";
import { projectionReading } from "./projection.ts";

export const lists = projectionReading(readContent, {
  name: "lists",
  tables: [listEntryTable, listRevisionTable, listTable],
  on: {
    ListCreated(rows, event, content) {
      const { list, families, description } = event.data;
      if (!content.has(list)) content.set(list, { count: 0, held: new Set() });
      // a name used again goes on where its retired list ended: empty, at its last rev
      const row = { list, families, description, retired: false, ...placeOf(event) };
      rows.upsert(listTable, row, { rev: 0, digest: EMPTY_LIST_DIGEST, entries: 0 });
    },
    ListChanged(rows, event, content) {
      const { list, rev, digest, add, del } = event.data;
      const its = content.get(list);
      for (const { entry, until } of add) {
        if (its && !its.held.has(entry)) its.count += 1;
        its?.held.add(entry);
        rows.upsert(listEntryTable, { list, entry, until: until ?? null });
      }
      for (const entry of del) {
        if (its?.held.delete(entry)) its.count -= 1;
        rows.remove(listEntryTable, { list, entry });
      }
      const entries = its?.count ?? 0;
      rows.update(listTable, { list }, { rev, digest, entries, ...placeOf(event) });
      rows.insert(listRevisionTable, { list, rev, digest, entries, at: event.meta.at });
    },
    ListRetired(rows, event) {
      rows.update(listTable, { list: event.data.list }, { retired: true, ...placeOf(event) });
    },
  },
});

function placeOf(event: RecordedEvent) {
  return { ...decidedBy(event), version: event.streamVersion };
}

/** How many entries a list has, and which of those that the events name. */
type Content = Map<string, { count: number; held: Set<string> }>;

async function readContent(tx: Tx, events: readonly RecordedEvent[]): Promise<Content> {
  const content: Content = new Map();
  const named = new Map<string, Set<string>>();
  for (const { type, data } of events) {
    if (type === "ListCreated") named.set(data.list, named.get(data.list) ?? new Set());
    if (type !== "ListChanged") continue;
    const entries = named.get(data.list) ?? new Set();
    for (const { entry } of data.add) entries.add(entry);
    for (const entry of data.del) entries.add(entry);
    named.set(data.list, entries);
  }
  if (named.size === 0) return content;
  const lists = [...named].map(([list, entries]) => ({ list, entries: [...entries] }));
  const rows = await tx.execute<{ list: string; count: number; held: string[] }>(sql`
    select l.list, l.entries as count,
           array(select e.entry
                   from json_array_elements_text(n.entries) as t(entry)
                   join list_entries as e on e.list = l.list and e.entry = t.entry) as held
      from json_to_recordset(${JSON.stringify(lists)}::text::json) as n(list text, entries json)
      join lists as l on l.list = n.list`);
  for (const { list, count, held } of rows) content.set(list, { count, held: new Set(held) });
  return content;
}
