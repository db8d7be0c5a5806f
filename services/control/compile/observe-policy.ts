import { type Family, policyChain } from "@sluice/proto/base/names";
import type { HookName, Origin, TableName } from "@sluice/proto/manifest/manifest";
import { canonicalEntry } from "@sluice/proto/policy/addresses";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { blockMatches, isInward, passMatches } from "./dispatch.ts";
import type { Spot } from "./findings.ts";
import { type CompiledChain, canDrop } from "./firewall.ts";
import type { CompileInput } from "./input.ts";
import type { CompiledRule } from "./rule.ts";

/** What of an observed policy stands in no chain of its text, as rules: its blocks, and the way into its guards. */
export interface Extra {
  blocks: {
    list: string;
    families: readonly Family[];
    places: readonly { table: TableName; hook: HookName }[];
    origin: Origin;
  }[];
  guardJumps: readonly CompiledRule[];
}

/** The policy's chains, with its blocks and guards before the rules of the hooks where they would stand. */
export function withExtra(
  chains: readonly CompiledChain[],
  { blocks, guardJumps }: Extra,
  policy: string,
  origin: Origin,
): CompiledChain[] {
  const before = new Map<string, { table: TableName; hook: HookName; rules: CompiledRule[] }>();
  const put = (table: TableName, hook: HookName, rules: readonly CompiledRule[]) => {
    const key = `${table}/${hook}`;
    if (rules.length > 0)
      before.set(key, { table, hook, rules: [...(before.get(key)?.rules ?? []), ...rules] });
  };
  for (const block of blocks)
    for (const { table, hook } of block.places) put(table, hook, [blockRule(block, hook)]);
  put("filter", "INPUT", guardJumps);
  const all = chains.map((chain) => {
    const key = `${chain.table}/${chain.name}`;
    const rules = [...(before.get(key)?.rules ?? []), ...chain.rules];
    before.delete(key);
    return { ...chain, rules };
  });
  for (const { table, hook, rules } of before.values())
    all.push({ table, name: hook, kernelName: policyChain(policy, hook), hook, rules, origin });
  return all;
}

function blockRule({ list, families, origin }: Extra["blocks"][number], hook: HookName): CompiledRule {
  const matches = (family: Family) => blockMatches(hook, list, family);
  return {
    ...{ origin, matches, observed: false, drops: true, effect: "drop", next: undefined },
    families: [...families],
    words: (family) => [...matches(family), "-j", "DROP"],
  };
}

/**
 * Packets that an observed policy couldn't decide about: those that nothing may cut off, those of its own `protect`
 * (which protects nothing while it is observed), and those that its blocks would have dropped before.
 */
export function exemptOf(
  { protect }: PolicyDocument,
  { blocks }: Extra,
  { lists }: Pick<CompileInput, "lists">,
  chains: readonly CompiledChain[],
): (chain: CompiledChain, family: Family) => string[][] {
  return ({ table, hook }, family) => {
    if (hook === undefined) return [];
    const ends = hook === "FORWARD" ? ["src", "dst"] : isInward(hook) ? ["src"] : ["dst"];
    const own = protect.flatMap(({ text }) => {
      const entry = canonicalEntry(text);
      if (entry?.family !== family) return [];
      return ends.map((end) => [end === "src" ? "-s" : "-d", entry.entry]);
    });
    const isBlocked = blocks
      .filter(({ list }) => lists[list]?.families.includes(family) ?? false)
      .flatMap(({ list, places }) =>
        places
          .filter((place) => isBefore(place, { table, hook }))
          .map((place) => blockMatches(place.hook, list, family)),
      );
    const drops = table === "filter" || canDrop(chains, table, hook);
    return [...(drops ? [...passMatches(hook, family), ...own] : []), ...isBlocked];
  };
}

type Place = Extra["blocks"][number]["places"][number];

/** Whether every packet of a hook comes through a block's place first. */
function isBefore(place: Place, { table, hook }: Place): boolean {
  if (table === "raw" || place.table === table) return false;
  const comesIn = isInward(hook) || hook === "FORWARD";
  return place.hook === hook || (place.hook === "PREROUTING" && comesIn);
}

/** The names of recent lists that a policy's rules read or write: the kernel has one for all policies. */
export function recentLists({ firewall }: PolicyDocument): Map<string, Spot> {
  const names = new Map<string, Spot>();
  for (const { table, name: chain, rules } of firewall.chains)
    for (const [index, { words, line, column }] of rules.entries()) {
      const at = words.findIndex((word, i) => word === "recent" && /^(-m|--match)$/.test(words[i - 1] ?? ""));
      if (at === -1) continue;
      const named = words.indexOf("--name", at);
      const path = `firewall.${table}.${chain}[${index}]`;
      names.set(named === -1 ? "DEFAULT" : (words[named + 1] ?? ""), { line, column, path });
    }
  return names;
}
