import { policyRevisionTable, policyTable } from "../schema/policies.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";

export const policies = projection({
  name: "policies",
  tables: [policyRevisionTable, policyTable],
  on: {
    PolicyRevised(rows, event) {
      const { policy, revision, digest, text } = event.data;
      const by = decidedBy(event);
      rows.insert(policyRevisionTable, { policy, revision, digest, text, ...by });
      rows.upsert(policyTable, { policy, revision, digest, retired: false, ...by });
    },
    PolicyRetired(rows, event) {
      rows.update(policyTable, { policy: event.data.policy }, { retired: true, ...decidedBy(event) });
    },
  },
});
