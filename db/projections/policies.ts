import { eq } from "drizzle-orm";
import { policyRevisionTable, policyTable } from "../schema/policies.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const policies: Projection = {
  name: "policies",
  tables: [policyRevisionTable, policyTable],
  async apply(tx, event) {
    switch (event.type) {
      case "PolicyRevised": {
        const { policy, revision, digest, text } = event.data;
        const by = decidedBy(event);
        await tx.insert(policyRevisionTable).values({ policy, revision, digest, text, ...by });
        const row = { revision, digest, retired: false, ...by };
        await tx
          .insert(policyTable)
          .values({ policy, ...row })
          .onConflictDoUpdate({ target: policyTable.policy, set: row });
        return;
      }
      case "PolicyRetired":
        await tx
          .update(policyTable)
          .set({ retired: true, ...decidedBy(event) })
          .where(eq(policyTable.policy, event.data.policy));
        return;
    }
  },
};
