import type { ManifestRule } from "@sluice/proto/manifest/manifest";
import type { Target } from "../drivers/driver.ts";
import { type IptablesSnapshot, tableKey } from "../drivers/iptables/snapshot.ts";
import { setOf, twinOf, type Unsaid } from "./host-bound.ts";
import { rulesOfLines } from "./origins.ts";

/** What of a target another tool keeps: in a room it is there, and empty. */
export function unsaidOf({ external }: Target): Unsaid {
  const sets = new Set(external.sets.map(({ name }) => name));
  return {
    chains: new Set(external.chains.map(({ name }) => name)),
    whyNot(match) {
      const set = setOf(match);
      return set !== undefined && sets.has(set) ? `the set ${set} (another tool keeps it)` : undefined;
    },
  };
}

/** The target with a twin before every rule that asks what a room can't say. `want` is how this kernel spells it. */
export function withTwins(target: Target, want: IptablesSnapshot): Target {
  const unsaid = unsaidOf(target);
  return {
    ...target,
    chains: target.chains.map((chain) => {
      const lines = want.tables.get(tableKey(chain.family, chain.table))?.chains.get(chain.name) ?? [];
      const twins = lines.map((line) => twinOf(line, unsaid));
      if (twins.every((twin) => twin === undefined)) return chain;
      return { ...chain, rules: interleave(chain.rules, twins) };
    }),
  };
}

/** Where it can't be told which line is which rule's, all twins stand first: more is unknown then, nothing is wrong. */
function interleave(rules: readonly ManifestRule[], twins: readonly (string | undefined)[]): ManifestRule[] {
  const owners = rulesOfLines(rules, twins.length);
  const twinsOf = (rule: ManifestRule | undefined) =>
    twins.flatMap((args, line) => (args === undefined || owners?.[line] !== rule ? [] : [{ args }]));
  return [
    ...(owners === undefined ? twinsOf(undefined) : []),
    ...rules.flatMap((rule) => [...(owners === undefined ? [] : twinsOf(rule)), rule]),
  ];
}
