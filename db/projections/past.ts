import type { EventData } from "@sluice/proto/events/event";
import { desc, eq, sql } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { listSpanTable } from "../schema/lists.ts";
import { serverLabelTable } from "../schema/servers.ts";
import type { Projection } from "./projection.ts";

/** What lists and labels were at any time. Only questions about the past read it: no command waits for it. */
export const past: Projection = {
  name: "past",
  tables: [listSpanTable, serverLabelTable],
  async apply(tx, event) {
    const { seq, meta } = event;
    switch (event.type) {
      case "ListChanged":
        await changeList(tx, event.data);
        return;
      case "ServerAdded": {
        const { server, labels } = event.data;
        await tx.insert(serverLabelTable).values({ server, seq, at: meta.at, labels });
        return;
      }
      case "ServerLabelled": {
        const { server, set, unset } = event.data;
        const [before] = await tx
          .select({ labels: serverLabelTable.labels })
          .from(serverLabelTable)
          .where(eq(serverLabelTable.server, server))
          .orderBy(desc(serverLabelTable.seq))
          .limit(1);
        const kept = Object.entries({ ...before?.labels, ...set }).filter(([key]) => !unset.includes(key));
        const labels = Object.fromEntries(kept);
        await tx.insert(serverLabelTable).values({ server, seq, at: meta.at, labels });
        return;
      }
    }
  },
};

/** One statement each for any number: the entries travel as one JSON text. */
async function changeList(tx: Tx, { list, rev, add, del }: EventData<"ListChanged">): Promise<void> {
  const touched = JSON.stringify([...add.map(({ entry }) => entry), ...del]);
  await tx.execute(sql`
    update list_spans set until_rev = ${rev}
     where list = ${list} and until_rev is null
       and entry = any(array(select json_array_elements_text(${touched}::text::json)))`);
  if (add.length === 0) return;
  await tx.execute(sql`
    insert into list_spans (list, entry, since_rev, until)
    select ${list}, e.entry, ${rev}, e.until
      from json_to_recordset(${JSON.stringify(add)}::text::json) as e(entry text, until timestamptz)`);
}
