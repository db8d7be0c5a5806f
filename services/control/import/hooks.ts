import { DOCKER_USER, FAMILIES, type Family } from "@sluice/proto/base/names";
import { isExempt } from "@sluice/proto/manifest/exempt";
import type { TableName } from "@sluice/proto/manifest/manifest";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { type Tool, toolOf, toolOfRule, toolsIn } from "./other-tools.ts";
import type { Around } from "./rules.ts";
import { chainsFrom, goalOf, isBuiltIn, type StandingTable } from "./standing.ts";

/**
 * A built-in chain of a table with all it leads to, in both families. The rules of other tools stay in it; an import takes the
 * rest whole or not at all.
 */
export interface StandingHook {
  table: TableName;
  hook: string;
  tables: StandingTable[];
  /** those whose rules stay */
  tools: Tool[];
  /** the names by which these rules are known */
  except: string[];
  /** the rest of the hook's rules */
  rules: Record<Family, Around>;
  /** what the rest leads to, the hook itself first */
  chains: Set<string>;
}

/** Those in which something stands. */
export function standingHooks(tables: readonly StandingTable[]): StandingHook[] {
  return Object.entries(HOOKS_OF).flatMap(([name, hooks]) => {
    const both = tables.filter(({ table }) => table === name);
    const [first] = both;
    if (first === undefined) return [];
    return hooks
      .filter((hook) => both.some((table) => rulesIn(table, hook).length > 0 || policyOf(table, hook)))
      .map((hook) => standingHook(first.table, hook, both));
  });
}

function standingHook(table: TableName, hook: string, tables: StandingTable[]): StandingHook {
  const found = toolsIn(
    table,
    hook,
    tables.flatMap((one) => rulesIn(one, hook)),
  );
  const except = [...new Set(found.flatMap((tool) => tool.except))];
  const around = (family: Family) =>
    aroundOthers(
      tables.filter((one) => one.family === family).flatMap((one) => rulesIn(one, hook)),
      except,
    );
  const led = tables.flatMap((one) =>
    rulesIn(one, hook)
      .filter((rule) => !isExempt(rule, except))
      .flatMap((rule) => [...ledFrom(one, rule)]),
  );
  const rules = { 4: around(4), 6: around(6) };
  return { table, hook, tables, tools: found, except, rules, chains: new Set([hook, ...led]) };
}

function aroundOthers(all: readonly string[], except: readonly string[]): Around {
  const isOthers = (rule: string) => isExempt(rule, except);
  const first = all.findIndex(isOthers);
  if (first === -1) return { before: [...all], after: [], amid: [], hasOthers: false };
  const last = all.findLastIndex(isOthers);
  const amid = all.slice(first, last).filter((rule) => !isOthers(rule));
  return { before: all.slice(0, first), after: all.slice(last + 1), amid, hasOthers: true };
}

/** The chain that a rule goes to, and all that one leads to. */
export function ledFrom(table: StandingTable, rule: string): Set<string> {
  const goal = goalOf(rule);
  return goal !== undefined && table.chains.has(goal) ? chainsFrom(table, goal) : new Set();
}

export function rulesIn({ chains }: StandingTable, chain: string): readonly string[] {
  return chains.get(chain) ?? [];
}

/** Undefined where it is what a kernel begins with. */
function policyOf({ policies }: StandingTable, hook: string): string | undefined {
  const policy = policies.get(hook) ?? "ACCEPT";
  return policy === "ACCEPT" ? undefined : policy;
}

/** The tool that has set the chain's policy. */
export function policyOwner({ table, hook, tables, tools }: StandingHook): string | undefined {
  if (table !== "filter" || !tables.some((one) => policyOf(one, hook))) return undefined;
  return tools.find(({ policies }) => policies?.includes(hook))?.tool;
}

/** Why it can't be a policy's, as far as it can be told without asking for its rules. */
export function whyLeft(standing: StandingHook): string | undefined {
  const { table, hook, tables, tools, chains } = standing;
  const mixing = tools.find(({ mixes }) => mixes === "all" || mixes?.includes(`${table}/${hook}`));
  if (mixing !== undefined) return `${mixing.tool} keeps rules of its own there`;
  const inner = [...chains].filter((name) => name !== hook);
  const rules = tables.flatMap((one) => inner.flatMap((chain) => rulesIn(one, chain)));
  const tool = inner.map(toolOf).find(Boolean) ?? rules.map(toolOfRule).find(Boolean);
  if (tool !== undefined) return `${tool} keeps rules of its own in a chain that it leads to`;
  const policy = tables.map((one) => policyOf(one, hook)).find(Boolean);
  if (table !== "filter" && policy !== undefined) return `its policy is ${policy}, outside of filter`;
  return tools.length === 0 ? undefined : whyNotAround(standing);
}

/** Why the rest of the rules wouldn't mean the same, standing before and behind those of other tools. */
function whyNotAround(standing: StandingHook): string | undefined {
  const { table, hook, tables, tools, except, rules } = standing;
  const named = tools.map(({ tool }) => tool).join(" and ");
  const both = FAMILIES.map((family) => rules[family]);
  const isEmpty = both.every(({ before, after, amid }) => before.length + after.length + amid.length === 0);
  if (isEmpty && (policyOwner(standing) !== undefined || !tables.some((one) => policyOf(one, hook))))
    return `all rules there are ${named}'s`;
  const [amid] = both.flatMap((one) => one.amid);
  if (amid !== undefined)
    return `between rules of ${named} stands one that isn't, and ours can only stand before and behind those: ${amid}`;
  const leaving = both.flatMap(({ before }) => before).find((rule) => isLeaving(rule, tables));
  if (leaving !== undefined) return `a rule goes past those of ${named} to the chain's end: ${leaving}`;
  const isHidden = FAMILIES.some((family) => {
    const filter = tables.find((one) => one.table === "filter" && one.family === family);
    if (hook !== "FORWARD" || !filter?.chains.has(DOCKER_USER) || rules[family].before.length === 0)
      return false;
    const first = rulesIn(filter, hook).find((rule) => isExempt(rule, except));
    return table === "filter" && first !== `-j ${DOCKER_USER}`;
  });
  return isHidden
    ? `rules stand before those of ${named}, and the first of these isn't -j ${DOCKER_USER}`
    : undefined;
}

/** In a built-in chain that is the end: what comes behind is never asked. */
function isLeaving(rule: string, tables: readonly StandingTable[]): boolean {
  const isGoto = /(?:^| )-g \S+/.test(rule);
  return (
    /(?:^| )-j RETURN$/.test(rule) || (isGoto && tables.some((one) => one.chains.has(goalOf(rule) ?? "")))
  );
}

/** Chains that no built-in one leads to. */
export function unusedChains(tables: readonly StandingTable[], hooks: readonly StandingHook[]): string[] {
  const names = tables.flatMap((one) => {
    const used = new Set(
      hooks.filter(({ table }) => table === one.table).flatMap(({ hook }) => [...chainsFrom(one, hook)]),
    );
    return [...one.chains.keys()]
      .filter((name) => !isBuiltIn(name) && toolOf(name) === undefined && !used.has(name))
      .map((name) => `${one.table}/${name}`);
  });
  return [...new Set(names)];
}
