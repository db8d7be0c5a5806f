import type { TableName } from "@sluice/proto/manifest/manifest";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { toolOf, toolOfRule } from "./other-tools.ts";
import { chainsFrom, isBuiltIn, type StandingTable } from "./standing.ts";

/** A built-in chain of a table with all it leads to, in both families: an import takes it whole or not at all. */
export interface StandingHook {
  table: TableName;
  hook: string;
  tables: StandingTable[];
  /** what it leads to, itself first */
  chains: Set<string>;
}

/** Those in which something stands. */
export function standingHooks(tables: readonly StandingTable[]): StandingHook[] {
  return Object.entries(HOOKS_OF).flatMap(([name, hooks]) => {
    const both = tables.filter(({ table }) => table === name);
    const [first] = both;
    if (first === undefined) return [];
    const found = hooks.map((hook): StandingHook => {
      const chains = new Set([hook, ...both.flatMap((table) => [...chainsFrom(table, hook)])]);
      return { table: first.table, hook, tables: both, chains };
    });
    return found.filter(({ hook }) =>
      both.some(
        ({ chains, policies }) =>
          (chains.get(hook)?.length ?? 0) > 0 || (policies.get(hook) ?? "ACCEPT") !== "ACCEPT",
      ),
    );
  });
}

/** Why it can't be a policy's, as far as it can be told without reading its rules. */
export function whyLeft({ table, hook, tables, chains }: StandingHook): string | undefined {
  const rules = tables.flatMap((one) => [...chains].flatMap((chain) => one.chains.get(chain) ?? []));
  const tool = [...chains].map(toolOf).find(Boolean) ?? rules.map(toolOfRule).find(Boolean);
  if (tool !== undefined) return `${tool} keeps rules of its own there`;
  const policy = tables.map(({ policies }) => policies.get(hook)).find((one) => one && one !== "ACCEPT");
  if (table !== "filter" && policy !== undefined) return `its policy is ${policy}, outside of filter`;
  return undefined;
}

/** Chains that no built-in one leads to. */
export function unusedChains(tables: readonly StandingTable[], hooks: readonly StandingHook[]): string[] {
  const names = tables.flatMap(({ table, chains }) =>
    [...chains.keys()]
      .filter((name) => !isBuiltIn(name) && toolOf(name) === undefined)
      .filter((name) => !hooks.some((one) => one.table === table && one.chains.has(name)))
      .map((name) => `${table}/${name}`),
  );
  return [...new Set(names)];
}
