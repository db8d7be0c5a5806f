import type { Database } from "@sluice/db/connect";
import { epochTable } from "@sluice/db/schema/fleet";
import { desc } from "drizzle-orm";
import type { Clock } from "../context/services.ts";

/** The epoch that generations are issued under: the newest, 1 in a new database. */
export async function currentEpoch({ db }: Database, clock: Clock): Promise<number> {
  await db.insert(epochTable).values({ epoch: 1, openedAt: clock.now().toISOString() }).onConflictDoNothing();
  const [row] = await db.select().from(epochTable).orderBy(desc(epochTable.epoch)).limit(1);
  return row?.epoch ?? 1;
}
