import type { ApplyStats, OutcomeResult, Refusal } from "@sluice/proto/wire/report";
import { and, eq } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { assignmentTable } from "../schema/assignments.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const assignments: Projection = {
  name: "assignments",
  tables: [assignmentTable],
  async apply(tx, event) {
    switch (event.type) {
      case "AssignmentDecided": {
        const { server, generation, epoch, assigned, manifest, cause, rollout } = event.data;
        await tx
          .insert(assignmentTable)
          .values({ server, generation, epoch, assigned, manifest, cause, rollout, ...decidedBy(event) });
        return;
      }
      case "ServerProven": {
        const { server, generation, until } = event.data;
        await tx
          .update(assignmentTable)
          .set({ provenUntil: until })
          .where(and(eq(assignmentTable.server, server), eq(assignmentTable.generation, generation)));
        return;
      }
      case "ServerConfirmed":
        await record(tx, event.data, "confirmed", event.meta.at);
        return;
      case "ServerRefused":
        await record(tx, event.data, "refused", event.meta.at);
        return;
      case "ServerReverted":
        await record(tx, event.data, "reverted", event.meta.at);
        return;
    }
  },
};

interface Outcome {
  server: string;
  generation: number;
  refusal?: Refusal | undefined;
  stats?: ApplyStats | undefined;
}

async function record(
  tx: Tx,
  { server, generation, refusal, stats }: Outcome,
  outcome: OutcomeResult,
  outcomeAt: string,
): Promise<void> {
  await tx
    .update(assignmentTable)
    .set({ outcome, outcomeAt, refusal, stats })
    .where(and(eq(assignmentTable.server, server), eq(assignmentTable.generation, generation)));
}
