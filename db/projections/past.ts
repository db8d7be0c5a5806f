import { sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { listSpanTable } from "../schema/lists.ts";
import { serverLabelTable } from "../schema/servers.ts";
import { type LabelsOf, labelled, serversLabelled } from "./labelled.ts";
import { projectionReading } from "./projection.ts";

/** What lists and labels were at any time. Only questions about the past read it: no command waits for it. */
export const past = projectionReading(readLabels, {
  name: "past",
  tables: [listSpanTable, serverLabelTable],
  on: {
    ListChanged(rows, { data: { list, rev, add, del } }) {
      for (const entry of [...add.map((added) => added.entry), ...del])
        rows.updateEvery(listSpanTable, { list, entry, untilRev: null }, { untilRev: rev });
      for (const { entry, until } of add) rows.insert(listSpanTable, { list, entry, sinceRev: rev, until });
    },
    ServerAdded(rows, { seq, data: { server, labels }, meta }, labelsOf) {
      labelsOf.set(server, labels);
      rows.insert(serverLabelTable, { server, seq, at: meta.at, labels });
    },
    ServerLabelled(rows, { seq, data, meta }, labelsOf) {
      const { server } = data;
      const labels = labelled(labelsOf.get(server), data);
      labelsOf.set(server, labels);
      rows.insert(serverLabelTable, { server, seq, at: meta.at, labels });
    },
  },
});

async function readLabels(tx: Tx, events: readonly RecordedEvent[]): Promise<LabelsOf> {
  const names = serversLabelled(events);
  if (names.length === 0) return new Map();
  const rows = await tx.execute<{ server: string; labels: Record<string, string> }>(sql`
    select newest.server, newest.labels
      from json_array_elements_text(${JSON.stringify(names)}::text::json) as t(server)
     cross join lateral (
             select s.server, s.labels from server_labels as s
              where s.server = t.server order by s.seq desc limit 1) as newest`);
  return new Map(rows.map(({ server, labels }) => [server, labels]));
}
