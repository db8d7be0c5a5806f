import { and, eq } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { driftTable } from "../schema/drift.ts";
import type { Projection } from "./projection.ts";

/**
 * Every drift there was; `current` for the newest of a server that wasn't repaired since. A report holds all that
 * differs on its server, so the newest one replaces those before it, and a new manifest confirmed ends them all.
 */
export const drift: Projection = {
  name: "drift",
  tables: [driftTable],
  async apply(tx, event) {
    switch (event.type) {
      case "DriftDetected": {
        const { server, by: culprit, ...data } = event.data;
        await endCurrent(tx, server);
        const current = data.action !== "repaired" && data.differences.length > 0;
        await tx
          .insert(driftTable)
          .values({ ...data, server, culprit, current, seq: event.seq, at: event.meta.at });
        return;
      }
      case "ServerConfirmed":
        await endCurrent(tx, event.data.server);
        return;
    }
  },
};

async function endCurrent(tx: Tx, server: string): Promise<void> {
  await tx
    .update(driftTable)
    .set({ current: false })
    .where(and(eq(driftTable.server, server), eq(driftTable.current, true)));
}
