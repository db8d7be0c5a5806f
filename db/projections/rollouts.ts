import { rolloutTable } from "../schema/rollouts.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";

export const rollouts = projection({
  name: "rollouts",
  tables: [rolloutTable],
  on: {
    RolloutStarted(rows, event) {
      const { rollout, kind, policy, revision, waves, before, byHandMs } = event.data;
      rows.insert(rolloutTable, {
        ...{ rollout, kind, policy, revision, waves, before, byHandMs },
        ...{ state: "running", wave: 0, haltedBecause: "" },
        ...decidedBy(event),
      });
    },
    WaveStarted(rows, { data: { rollout, wave } }) {
      rows.update(rolloutTable, { rollout }, { wave });
    },
    RolloutCompleted(rows, { data: { rollout }, meta }) {
      rows.update(rolloutTable, { rollout }, { state: "completed", endedAt: meta.at });
    },
    RolloutHalted(rows, { data: { rollout, reason, server }, meta }) {
      const ended = { haltedBecause: reason, haltedBy: server, endedAt: meta.at };
      rows.update(rolloutTable, { rollout }, { state: "halted", ...ended });
    },
  },
});
