import type { RecordedEvent } from "../log/upcast-events.ts";
import { fleetTable } from "../schema/fleet.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";
import type { Rows } from "./rows.ts";

export const fleet = projection({
  name: "fleet",
  tables: [fleetTable],
  on: {
    FleetFrozen: (rows, event) => put(rows, event, true),
    FleetThawed: (rows, event) => put(rows, event, false),
  },
});

function put(rows: Rows, event: RecordedEvent, frozen: boolean): void {
  rows.upsert(fleetTable, { one: true, frozen, ...decidedBy(event) });
}
