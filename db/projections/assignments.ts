import type { ApplyStats, OutcomeResult, Refusal } from "@sluice/proto/wire/report";
import { assignmentTable, policyServerTable } from "../schema/assignments.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";
import type { Rows } from "./rows.ts";

export const assignments = projection({
  name: "assignments",
  tables: [assignmentTable, policyServerTable],
  on: {
    AssignmentDecided(rows, event) {
      const { server, generation, epoch, assigned, manifest, cause, rollout } = event.data;
      const row = { server, generation, epoch, assigned, manifest, cause, rollout };
      rows.insert(assignmentTable, { ...row, ...decidedBy(event) });
      for (const { policy } of assigned) rows.upsert(policyServerTable, { policy, server });
    },
    ServerProven(rows, { data: { server, generation, until } }) {
      rows.update(assignmentTable, { server, generation }, { provenUntil: until });
    },
    ServerConfirmed: (rows, { data, meta }) => record(rows, data, "confirmed", meta.at),
    ServerRefused: (rows, { data, meta }) => record(rows, data, "refused", meta.at),
    ServerReverted: (rows, { data, meta }) => record(rows, data, "reverted", meta.at),
  },
});

interface Outcome {
  server: string;
  generation: number;
  refusal?: Refusal | undefined;
  stats?: ApplyStats | undefined;
}

function record(
  rows: Rows,
  { server, generation, refusal, stats }: Outcome,
  outcome: OutcomeResult,
  outcomeAt: string,
): void {
  rows.update(assignmentTable, { server, generation }, { outcome, outcomeAt, refusal, stats });
}
