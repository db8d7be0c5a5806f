import { type Family, listSet, policyChain } from "@sluice/proto/base/names";
import type { HookName, Origin } from "@sluice/proto/manifest/manifest";
import { canonicalEntry } from "@sluice/proto/policy/addresses";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { isInward, matchSet, passMatches } from "./dispatch.ts";
import type { Spot } from "./findings.ts";
import { type CompiledChain, canDrop } from "./firewall.ts";
import type { CompileInput } from "./input.ts";
import type { CompiledRule } from "./rule.ts";

/** What of an observed policy stands in no chain of its text, as rules: its blocks, and the way into its guards. */
export interface Extra {
  blocks: { list: string; families: readonly Family[]; hooks: readonly HookName[]; origin: Origin }[];
  guardJumps: readonly CompiledRule[];
}

/** The policy's chains, with its blocks and guards before the rules of the hooks where they would stand. */
export function withExtra(
  chains: readonly CompiledChain[],
  { blocks, guardJumps }: Extra,
  policy: string,
  origin: Origin,
): CompiledChain[] {
  const before = new Map<string, CompiledRule[]>();
  const put = (key: string, rules: readonly CompiledRule[]) =>
    rules.length > 0 && before.set(key, [...(before.get(key) ?? []), ...rules]);
  for (const block of blocks)
    for (const hook of block.hooks) put(`raw/${hook}`, [blockRule(block, isInward(hook) ? "src" : "dst")]);
  put("filter/INPUT", guardJumps);
  const all = chains.map((chain) => {
    const key = `${chain.table}/${chain.name}`;
    const rules = [...(before.get(key) ?? []), ...chain.rules];
    before.delete(key);
    return { ...chain, rules };
  });
  for (const [key, rules] of before) {
    const table = key.startsWith("raw/") ? "raw" : "filter";
    const hook = key.endsWith("PREROUTING") ? "PREROUTING" : key.endsWith("INPUT") ? "INPUT" : "OUTPUT";
    all.push({ table, name: hook, kernelName: policyChain(policy, hook), hook, rules, origin });
  }
  return all;
}

function blockRule({ list, families, origin }: Extra["blocks"][number], end: "src" | "dst"): CompiledRule {
  const matches = (family: Family) => matchSet(listSet(list, family), end);
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
      .filter(({ list, hooks }) => {
        const way = hook === "OUTPUT" ? "OUTPUT" : "PREROUTING";
        const passes = hook !== "POSTROUTING" && table !== "raw" && hooks.includes(way);
        return passes && (lists[list]?.families.includes(family) ?? false);
      })
      .map(({ list }) => matchSet(listSet(list, family), hook === "OUTPUT" ? "dst" : "src"));
    const drops = table === "filter" || canDrop(chains, table, hook);
    return [...(drops ? [...passMatches(hook, family), ...own] : []), ...isBlocked];
  };
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
