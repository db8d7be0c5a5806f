import { FAMILIES, type Family, policyChain } from "@sluice/proto/base/names";
import type {
  HookName,
  ManifestChain,
  ManifestRule,
  Origin,
  TableName,
} from "@sluice/proto/manifest/manifest";
import type { PolicyChainDocument } from "@sluice/proto/policy/document";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import type { Reporter } from "./findings.ts";
import { type CompiledRule, compileRule, type RuleScope } from "./rule.ts";

/** The built-in chains of each table. */
export const HOOKS_OF: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/** One chain of a policy: its rules in a built-in hook, or a chain of its own. */
export interface CompiledChain {
  table: TableName;
  /** as the policy calls it */
  name: string;
  kernelName: string;
  /** the built-in hook whose head jumps here; undefined for a chain of the policy's own */
  hook: HookName | undefined;
  rules: CompiledRule[];
  origin: Origin;
}

export function compileChains(
  policy: string,
  chains: readonly PolicyChainDocument[],
  scope: Omit<RuleScope, "table" | "ownChain">,
): CompiledChain[] {
  const { report } = scope;
  const names = new Set(chains.filter((chain) => !isHookName(chain.name)).map(chainKey));
  const ownChain = (table: TableName, name: string) =>
    names.has(chainKey({ table, name })) ? policyChain(policy, name) : undefined;

  const compiled = chains.map((chain): CompiledChain => {
    const path = `firewall.${chain.table}.${chain.name}`;
    const hook = HOOKS_OF[chain.table].find((name) => name === chain.name);
    if (hook === undefined && isHookName(chain.name))
      report.problem({ line: chain.line, path }, `the table ${chain.table} has no ${chain.name}`, {
        expected: HOOKS_OF[chain.table].join(", "),
      });
    const rules = chain.rules.map((rule, index) =>
      compileRule(rule, `${path}[${index}]`, { ...scope, table: chain.table, ownChain }),
    );
    const origin = report.origin({ line: chain.line, path });
    return {
      table: chain.table,
      name: chain.name,
      kernelName: policyChain(policy, chain.name),
      hook,
      rules,
      origin,
    };
  });
  refuseLoops(compiled, report);
  narrowJumps(compiled);
  warnOfIdleRules(compiled, report);
  return compiled;
}

/** The chain's text in each family where it has rules or something goes to it. */
export function renderChains(
  compiled: readonly CompiledChain[],
  families: readonly Family[],
): ManifestChain[] {
  return families.flatMap((family) => {
    const used = new Set(
      compiled.flatMap((chain) =>
        rulesOf(chain, family).flatMap(({ next }) =>
          next ? [chainKey({ table: chain.table, name: next.chain })] : [],
        ),
      ),
    );
    return compiled
      .filter((chain) => rulesOf(chain, family).length > 0 || used.has(chainKey(chain)))
      .map((chain) => ({
        family,
        table: chain.table,
        name: chain.kernelName,
        rules: rulesOf(chain, family).map((rule) => renderRule(rule, family)),
      }));
  });
}

export function rulesOf(chain: CompiledChain, family: Family): CompiledRule[] {
  return chain.rules.filter((rule) => rule.families.includes(family));
}

export function renderRule(rule: CompiledRule, family: Family): ManifestRule {
  return { args: quoteWords(rule.words(family)), origin: rule.origin };
}

/** Whether a packet that enters this hook can be dropped by a rule of these chains. */
export function canDrop(compiled: readonly CompiledChain[], table: TableName, hook: HookName): boolean {
  const inTable = new Map(
    compiled.filter((chain) => chain.table === table).map((chain) => [chain.name, chain]),
  );
  const seen = new Set<string>();
  const walk = (name: string): boolean => {
    const chain = inTable.get(name);
    if (chain === undefined || seen.has(name)) return false;
    seen.add(name);
    return chain.rules.some((rule) => rule.drops || (rule.next !== undefined && walk(rule.next.chain)));
  };
  return walk(hook);
}

/**
 * A jump to a chain whose rules are all of one family is needed in that family only: so an IPv4 port forward doesn't
 * bring up the IPv6 nat table. A `goto` stays, since even an empty chain ends the one it left.
 */
function narrowJumps(compiled: CompiledChain[]): void {
  const byKey = new Map(compiled.map((chain) => [chainKey(chain), chain]));
  const familiesOf = (chain: CompiledChain | undefined): readonly Family[] =>
    chain === undefined || chain.rules.length === 0
      ? FAMILIES
      : FAMILIES.filter((family) => rulesOf(chain, family).length > 0);
  for (let changed = true; changed; ) {
    changed = false;
    for (const chain of compiled) {
      for (const rule of chain.rules) {
        if (rule.next === undefined || rule.next.goto) continue;
        const reached = familiesOf(byKey.get(chainKey({ table: chain.table, name: rule.next.chain })));
        const kept = rule.families.filter((family) => reached.includes(family));
        changed ||= kept.length < rule.families.length;
        rule.families = kept;
      }
    }
  }
}

function warnOfIdleRules(compiled: readonly CompiledChain[], report: Reporter): void {
  for (const { families, next, origin } of compiled.flatMap((chain) => chain.rules))
    if (families.length === 0 && origin.line !== undefined)
      report.warn(
        { line: origin.line, path: origin.path ?? "" },
        `this jump does nothing: the chain ${next?.chain} has no rule of its family`,
      );
}

/** The kernel refuses chains that lead back to themselves, for the whole table at once. */
function refuseLoops(compiled: readonly CompiledChain[], report: Reporter): void {
  const byKey = new Map(compiled.map((chain) => [chainKey(chain), chain]));
  const done = new Set<CompiledChain>();
  const visit = (chain: CompiledChain, trail: readonly CompiledChain[]): void => {
    if (done.has(chain)) return;
    for (const { next, origin } of chain.rules) {
      const target = next && byKey.get(chainKey({ table: chain.table, name: next.chain }));
      if (target === undefined) continue;
      const round = [...trail, chain];
      if (!round.includes(target)) {
        visit(target, round);
        continue;
      }
      const names = [...round.slice(round.indexOf(target)), target].map(({ name }) => name);
      report.problem(
        { line: origin.line ?? chain.origin.line ?? 1, path: origin.path ?? chain.name },
        `the chains lead back to themselves: ${names.join(" → ")}`,
      );
    }
    done.add(chain);
  };
  for (const chain of compiled) visit(chain, []);
}

function isHookName(name: string): boolean {
  return HOOKS_OF.mangle.some((hook) => hook === name);
}

function chainKey({ table, name }: { table: TableName; name: string }): string {
  return `${table}/${name}`;
}
