import type { Family } from "@sluice/proto/base/names";
import type { ManifestExternal } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { CompiledChain } from "./firewall.ts";
import { compareText } from "./input.ts";
import { optionsOf } from "./rule-options.ts";

/**
 * What is foreign and named by our rules, for a rehearsal to stub: a chain in each family that goes to it, a set in the
 * one family it has. Nobody says which that is: IPv6 where only IPv6 rules name it, else IPv4.
 */
export function compileExternal(
  { external }: PolicyDocument,
  chains: readonly CompiledChain[],
  families: readonly Family[],
): ManifestExternal {
  const used = new Set<string>();
  for (const { table, rules } of chains)
    for (const rule of rules)
      for (const family of rule.families)
        for (const { name, value } of optionsOf(rule.words(family))) {
          if (name === "--jump" || name === "--goto") used.add(`${family}/${table}/${value}`);
          else used.add(`${family}/${value}`);
        }
  return {
    chains: external.chains.flatMap(({ table, name }) =>
      families
        .filter((family) => used.has(`${family}/${table}/${name}`))
        .map((family) => ({ family, table, name })),
    ),
    sets: external.sets.map(({ name, type }) => ({
      name,
      type,
      family: used.has(`6/${name}`) && !used.has(`4/${name}`) ? 6 : 4,
    })),
  };
}

/** Two policies may name the same foreign thing. */
export function uniteExternal(all: readonly ManifestExternal[]): ManifestExternal {
  return {
    chains: distinct(
      all.flatMap(({ chains }) => chains),
      ({ family, table, name }) => `${family}/${table}/${name}`,
    ),
    sets: distinct(
      all.flatMap(({ sets }) => sets),
      ({ name }) => name,
    ),
  };
}

export function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const byKey = new Map<string, T>();
  for (const item of items) if (!byKey.has(keyOf(item))) byKey.set(keyOf(item), item);
  return [...byKey.entries()].sort(([a], [b]) => compareText(a, b)).map(([, item]) => item);
}
