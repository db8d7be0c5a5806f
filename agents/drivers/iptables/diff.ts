import { FAMILIES, type Family } from "@sluice/proto/base/names";
import type { Difference } from "@sluice/proto/manifest/difference";
import {
  type ManifestChain,
  type ManifestHook,
  type Origin,
  TABLES,
  type TableName,
} from "@sluice/proto/manifest/manifest";
import type { Target } from "../driver.ts";
import { lineDifference } from "../line-difference.ts";
import { claimedDifferences, claimedOf, claimsIn } from "./claims.ts";
import {
  type HookSnapshot,
  type IptablesSnapshot,
  leftoverKey,
  placeOf,
  type TableSnapshot,
  tableKey,
} from "./snapshot.ts";

/** Pure: both snapshots are spelled by the same kernel. The target only says where a line came from. */
export function diffIptables(target: Target, want: IptablesSnapshot, have: IptablesSnapshot): Difference[] {
  const ours = FAMILIES.flatMap((family) =>
    TABLES.flatMap((table) => {
      const key = tableKey(family, table);
      const ofTable = (object: ManifestChain | ManifestHook) =>
        object.family === family && object.table === table;
      return [
        ...diffChains(key, target.chains.filter(ofTable), want.tables.get(key), have.tables.get(key)),
        ...diffHooks(key, target.hooks.filter(ofTable), have.tables.get(key)),
        ...diffClaimed(target, family, table, have),
      ];
    }),
  );
  const leftovers = (have.leftovers ?? []).flatMap((table) => {
    const key = leftoverKey(table);
    return [...diffChains(key, [], undefined, table), ...diffHooks(key, [], table)];
  });
  return [...ours, ...leftovers];
}

function diffClaimed(target: Target, family: Family, table: TableName, have: IptablesSnapshot): Difference[] {
  const claims = claimsIn(target.takeover ?? [], family, table);
  const claimed = claimedOf(claims, have.tables.get(tableKey(family, table)));
  return claimed === undefined ? [] : claimedDifferences(claimed);
}

/** Names of the chains whose rules differ, or that the kernel lacks. */
export function changedChains(want: TableSnapshot | undefined, have: TableSnapshot | undefined): Set<string> {
  const changed = new Set<string>();
  for (const [name, rules] of want?.chains ?? []) {
    const standing = have?.chains.get(name);
    if (standing === undefined || !sameLines(rules, standing)) changed.add(name);
  }
  return changed;
}

export type HookFault =
  | { kind: "missing"; hook: ManifestHook }
  /** more than one jump to the same chain */
  | { kind: "doubled"; hook: ManifestHook; copies: number }
  /** a foreign rule stands before the head or after the tail: told, never moved */
  | { kind: "displaced"; hook: ManifestHook; position: number; rules: number }
  | { kind: "extra"; hook: string; chain: string; copies: number };

/** What is wrong with our jumps from the built-in chains of one table. */
export function hookFaults(wanted: readonly ManifestHook[], have: TableSnapshot | undefined): HookFault[] {
  const faults: HookFault[] = [];
  for (const hook of wanted) {
    const standing = have?.hooks.get(placeOf(hook, have));
    const indexes = (standing?.jumps ?? [])
      .filter(({ chain }) => chain === hook.chain)
      .map(({ index }) => index);
    const [index] = indexes;
    if (standing === undefined || index === undefined) {
      faults.push({ kind: "missing", hook });
    } else if (indexes.length > 1) {
      faults.push({ kind: "doubled", hook, copies: indexes.length });
    } else if (foreignBeyond(hook, index, standing)) {
      faults.push({ kind: "displaced", hook, position: index + 1, rules: standing.rules });
    }
  }
  for (const [hook, { jumps }] of have?.hooks ?? []) {
    for (const chain of new Set(jumps.map((jump) => jump.chain))) {
      if (wanted.some((known) => placeOf(known, have) === hook && known.chain === chain)) continue;
      const copies = jumps.filter((jump) => jump.chain === chain).length;
      faults.push({ kind: "extra", hook, chain, copies });
    }
  }
  return faults;
}

/** Does a rule that isn't ours stand before a head, or after a tail? */
function foreignBeyond(hook: ManifestHook, index: number, standing: HookSnapshot): boolean {
  const beyond = (at: number) => (hook.at === "head" ? at < index : at > index);
  const all = hook.at === "head" ? index : standing.rules - 1 - index;
  return all > standing.jumps.filter((jump) => beyond(jump.index)).length;
}

function diffChains(
  key: string,
  chains: readonly ManifestChain[],
  want: TableSnapshot | undefined,
  have: TableSnapshot | undefined,
): Difference[] {
  const differences: Difference[] = [];
  for (const name of changedChains(want, have)) {
    const wanted = want?.chains.get(name) ?? [];
    const standing = have?.chains.get(name);
    const origin = originOf(
      chains.find((chain) => chain.name === name),
      wanted,
      standing ?? [],
    );
    differences.push({
      driver: "iptables",
      object: `${key}/${name}`,
      kind: standing === undefined ? "missing" : "changed",
      ...lineDifference(wanted, standing ?? []),
      ...(origin ? { origin } : {}),
    });
  }
  differences.push(...neverTaken(key, chains, want));
  for (const [name, rules] of have?.chains ?? []) {
    if (want?.chains.has(name)) continue;
    differences.push({
      driver: "iptables",
      object: `${key}/${name}`,
      kind: "extra",
      ...lineDifference([], rules),
    });
  }
  return differences;
}

/**
 * Chains that were rehearsed and that the rehearsal didn't read back whole: a tool that does nothing also answers 0.
 * One rule may read back as several, never as none.
 */
function neverTaken(
  key: string,
  chains: readonly ManifestChain[],
  want: TableSnapshot | undefined,
): Difference[] {
  return chains.flatMap(({ name, rules }) => {
    const taken = want?.chains.get(name);
    if (taken !== undefined && taken.length >= rules.length) return [];
    const asked = rules.map(({ args }) => args);
    const kind = taken === undefined ? ("missing" as const) : ("changed" as const);
    return [
      { driver: "iptables" as const, object: `${key}/${name}`, kind, ...lineDifference(asked, taken ?? []) },
    ];
  });
}

/** The first rule that the kernel lacks names the policy's line; a rule of several addresses reads back as several. */
function originOf(
  chain: ManifestChain | undefined,
  wanted: readonly string[],
  standing: readonly string[],
): Origin | undefined {
  if (chain === undefined) return undefined;
  const firstLost = wanted.findIndex((rule) => !standing.includes(rule));
  const exact = wanted.length === chain.rules.length ? chain.rules[firstLost]?.origin : undefined;
  return exact ?? chain.rules.find((rule) => rule.origin !== undefined)?.origin;
}

function diffHooks(
  key: string,
  hooks: readonly ManifestHook[],
  have: TableSnapshot | undefined,
): Difference[] {
  return hookFaults(hooks, have).map((fault) => jumpDifference(key, fault, have));
}

function jumpDifference(key: string, fault: HookFault, have: TableSnapshot | undefined): Difference {
  if (fault.kind === "extra")
    return { ...jumpObject(key, fault.hook), kind: "extra", have: [`-j ${fault.chain}`] };
  const place = placeOf(fault.hook, have);
  switch (fault.kind) {
    case "missing":
      return { ...jumpObject(key, place), kind: "missing", want: [`-j ${fault.hook.chain}`] };
    case "doubled":
      return {
        ...jumpObject(key, place),
        kind: "changed",
        want: [`-j ${fault.hook.chain}`],
        have: Array.from({ length: Math.min(fault.copies, 20) }, () => `-j ${fault.hook.chain}`),
      };
    case "displaced": {
      const { chain, at } = fault.hook;
      return {
        ...jumpObject(key, place),
        kind: "changed",
        want: [`-j ${chain} (${at === "head" ? "first" : "last"})`],
        have: [`-j ${chain} (${fault.position} of ${fault.rules})`],
      };
    }
  }
}

function jumpObject(key: string, hook: string): { driver: "iptables"; object: string } {
  return { driver: "iptables", object: `${key}/${hook}` };
}

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}
