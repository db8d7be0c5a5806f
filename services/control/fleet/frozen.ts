import { fleetTable } from "@sluice/db/schema/fleet";
import type { Context } from "../context/services.ts";

export async function fleetRow({ database }: Context): Promise<typeof fleetTable.$inferSelect | undefined> {
  const [row] = await database.db.select().from(fleetTable);
  return row;
}

/** While the fleet is frozen, no server is told anything new. */
export async function isFrozen(ctx: Context): Promise<boolean> {
  return (await fleetRow(ctx))?.frozen ?? false;
}
