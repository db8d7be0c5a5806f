import { readHead } from "@sluice/db/log/read";
import { listTable } from "@sluice/db/schema/lists";
import type { Services } from "../context/services.ts";

/** Control's signed heartbeat: the heads of the lists, so that a broker that withholds is seen, and the log's end. */
export async function sendPulse({ database, link, clock, epoch }: Services): Promise<void> {
  const [rows, checkpoint] = await Promise.all([
    database.db.select({ list: listTable.list, rev: listTable.rev }).from(listTable),
    readHead(database.db),
  ]);
  const lists = Object.fromEntries(rows.map(({ list, rev }) => [list, rev]));
  await link.pulse({ v: 1, at: clock.now().toISOString(), epoch, lists, checkpoint });
}
