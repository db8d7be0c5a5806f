import { afterOthers, policyChain } from "@sluice/proto/base/names";
import type { ManifestTakeover } from "@sluice/proto/manifest/manifest";
import type { Script } from "../drivers/driver.ts";
import { type GoesAlong, withCounters } from "../drivers/iptables/carry.ts";
import { type Counters, countersOfTable, tableOfScript } from "../drivers/iptables/counters.ts";
import { tableKey } from "../drivers/iptables/snapshot.ts";
import { claimKey, isRules, type Taken } from "./taken.ts";
import type { Handover } from "./takeover.ts";

/**
 * When rules change hands, what they have counted goes along: between the chains that a claim names, and those of the same name
 * of the policy that claims them. Pure; read the counters as late as can be, for what comes until the commit isn't counted.
 */

/** The scripts that take over or give back, with what the rules have counted. */
export function carryCounters(
  counters: Counters,
  scripts: readonly Script[],
  { taking, givingBack }: Handover,
  claims: { before: readonly ManifestTakeover[]; after: readonly ManifestTakeover[] },
): Script[] {
  const ways = [
    ...pairsOf(claims.after, taking).map(({ key, theirs, ours }) => ({ key, to: ours, from: theirs })),
    ...pairsOf(claims.before, givingBack).map(({ key, theirs, ours }) => ({ key, to: theirs, from: ours })),
  ];
  return scripts.map((script) => {
    const table = tableOfScript(script);
    const own = ways.filter(({ key }) => key === table);
    if (table === undefined || own.length === 0) return script;
    return { ...script, text: withCounters(script.text, countersOfTable(counters, table), own) };
  });
}

/** A text that puts rules back where they stood when the counters were read. */
export function keepCounters(counters: Counters, table: string, text: string): string {
  const own = countersOfTable(counters, table);
  const same = [...own.keys()].map((chain): GoesAlong => ({ to: [chain], from: [chain] }));
  return withCounters(text, own, same);
}

function pairsOf(claims: readonly ManifestTakeover[], taken: readonly Taken[]) {
  const keys = new Set(taken.filter(isRules).map(({ claim }) => claim));
  return claims.flatMap((claim) => {
    if (claim.what !== "chain" || !keys.has(claimKey(claim))) return [];
    const { family, table, chain, origin } = claim;
    const ours = [chain, afterOthers(chain)].map((name) => policyChain(origin.policy, name));
    return [{ key: tableKey(family, table), theirs: [chain], ours }];
  });
}
