import { DOCKER_USER, FAMILIES } from "@sluice/proto/base/names";
import type { ForeignFacts } from "@sluice/proto/manifest/facts";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { type IptablesSnapshot, tableKey } from "../drivers/iptables/snapshot.ts";

/** What others have in the filter table, as far as control decides by it. */
export function foreignFactsOf({ tables }: IptablesSnapshot): ForeignFacts {
  const filterOf = FAMILIES.map((family) => ({ family, table: tables.get(tableKey(family, "filter")) }));
  return {
    jumps: filterOf.flatMap(({ family, table }) =>
      HOOKS_OF.filter
        .filter((hook) => (table?.hooks.get(hook)?.foreignJumps.length ?? 0) > 0)
        .map((hook) => `${tableKey(family, "filter")}/${hook}`),
    ),
    dockerUser: filterOf.flatMap(({ family, table }) =>
      table?.foreignChains.has(DOCKER_USER) ? [family] : [],
    ),
  };
}
