import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { fleetTable } from "../schema/fleet.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const fleet: Projection = {
  name: "fleet",
  tables: [fleetTable],
  async apply(tx, event) {
    switch (event.type) {
      case "FleetFrozen":
        await put(tx, event, true);
        return;
      case "FleetThawed":
        await put(tx, event, false);
        return;
    }
  },
};

async function put(tx: Tx, event: RecordedEvent, frozen: boolean): Promise<void> {
  const row = { frozen, ...decidedBy(event) };
  await tx.insert(fleetTable).values(row).onConflictDoUpdate({ target: fleetTable.one, set: row });
}
