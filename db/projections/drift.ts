import { driftTable } from "../schema/drift.ts";
import { projection } from "./projection.ts";
import type { Rows } from "./rows.ts";

/**
 * Every drift there was; `current` for the newest of a server that wasn't repaired since. A report holds all that
 * differs on its server, so the newest one replaces those before it, and a new manifest confirmed ends them all.
 */
export const drift = projection({
  name: "drift",
  tables: [driftTable],
  on: {
    DriftDetected(rows, event) {
      const { server, by: culprit, ...data } = event.data;
      endCurrent(rows, server);
      const current = data.action !== "repaired" && data.differences.length > 0;
      rows.insert(driftTable, { ...data, server, culprit, current, seq: event.seq, at: event.meta.at });
    },
    ServerConfirmed: (rows, { data }) => endCurrent(rows, data.server),
  },
});

function endCurrent(rows: Rows, server: string): void {
  rows.updateEvery(driftTable, { server, current: true }, { current: false });
}
