import { eq } from "drizzle-orm";
import { rolloutTable } from "../schema/rollouts.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const rollouts: Projection = {
  name: "rollouts",
  tables: [rolloutTable],
  async apply(tx, event) {
    switch (event.type) {
      case "RolloutStarted": {
        const { rollout, kind, policy, revision, waves, before, byHandMs } = event.data;
        await tx.insert(rolloutTable).values({
          ...{ rollout, kind, policy, revision, waves, before, byHandMs },
          ...{ state: "running", wave: 0, haltedBecause: "" },
          ...decidedBy(event),
        });
        return;
      }
      case "WaveStarted": {
        const { rollout, wave } = event.data;
        await tx.update(rolloutTable).set({ wave }).where(eq(rolloutTable.rollout, rollout));
        return;
      }
      case "RolloutCompleted":
        await tx
          .update(rolloutTable)
          .set({ state: "completed", endedAt: event.meta.at })
          .where(eq(rolloutTable.rollout, event.data.rollout));
        return;
      case "RolloutHalted": {
        const { rollout, reason, server } = event.data;
        await tx
          .update(rolloutTable)
          .set({ state: "halted", haltedBecause: reason, haltedBy: server, endedAt: event.meta.at })
          .where(eq(rolloutTable.rollout, rollout));
        return;
      }
    }
  },
};
