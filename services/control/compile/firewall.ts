import { afterOthers, FAMILIES, type Family, policyChain } from "@sluice/proto/base/names";
import {
  HOOKS,
  type HookName,
  type ManifestChain,
  type ManifestRule,
  type Origin,
  TABLES,
  type TableName,
} from "@sluice/proto/manifest/manifest";
import type { PolicyChainDocument, PolicyDocument } from "@sluice/proto/policy/document";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import type { ChainNames } from "@sluice/proto/policy/rule-targets";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import type { Reporter } from "./findings.ts";
import { type CompiledRule, compileRule, type RuleScope } from "./rule.ts";

/** One chain of a policy: its rules in a built-in hook, or a chain of its own. */
export interface CompiledChain {
  table: TableName;
  /** as the policy calls it */
  name: string;
  kernelName: string;
  /** the built-in hook whose head jumps here; undefined for a chain of the policy's own */
  hook: HookName | undefined;
  /** a hook's rules that stand after those of others: its tail jumps here */
  isAfter?: boolean | undefined;
  rules: CompiledRule[];
  origin: Origin;
}

/** The chains that a policy's rules may go to: its own and the foreign ones it declares. */
export function chainNames({ firewall, external }: PolicyDocument): ChainNames {
  const named = (chains: readonly { table: TableName; name: string }[]) =>
    new Map(
      TABLES.map((table) => [
        table,
        new Set(chains.filter((chain) => chain.table === table).map(({ name }) => name)),
      ]),
    );
  return {
    own: named(firewall.chains.filter(({ name }) => !HOOKS.some((hook) => hook === name))),
    external: named(external.chains),
  };
}

export function compileChains(
  policy: string,
  chains: readonly PolicyChainDocument[],
  scope: Omit<RuleScope, "table">,
): CompiledChain[] {
  const { report } = scope;
  const compiled = chains.flatMap(({ table, name, rules, others, line }): CompiledChain[] => {
    const path = `firewall.${table}.${name}`;
    const hook = HOOKS_OF[table].find((known) => known === name);
    const all = rules.map((rule, index) => compileRule(rule, `${path}[${index}]`, { ...scope, table }));
    const made = { table, hook, origin: report.origin({ line, path }) };
    const chain = { ...made, name, kernelName: policyChain(policy, name), rules: all.slice(0, others) };
    const after = afterOthers(name);
    const rest = { ...made, name: after, kernelName: policyChain(policy, after), isAfter: true };
    return others === undefined ? [chain] : [chain, { ...rest, rules: all.slice(others) }];
  });
  narrowJumps(compiled);
  warnOfIdleRules(compiled, report);
  return compiled;
}

/** The kernel's rules that one rule of a policy becomes. */
export type RuleWriter = (chain: CompiledChain, rule: CompiledRule, family: Family) => ManifestRule[];

/** The chain's text in each family where it has rules or something goes to it. */
export function renderChains(
  compiled: readonly CompiledChain[],
  families: readonly Family[],
  write: RuleWriter,
): ManifestChain[] {
  return families.flatMap((family) => {
    const used = new Set(
      compiled.flatMap((chain) =>
        rulesOf(chain, family).flatMap(({ next, observed }) =>
          next && !observed ? [chainKey({ table: chain.table, name: next.chain })] : [],
        ),
      ),
    );
    return compiled
      .filter((chain) => rulesOf(chain, family).length > 0 || used.has(chainKey(chain)))
      .map((chain) => ({
        family,
        table: chain.table,
        name: chain.kernelName,
        rules: rulesOf(chain, family).flatMap((rule) => write(chain, rule, family)),
      }));
  });
}

export function rulesOf(chain: CompiledChain, family: Family): CompiledRule[] {
  return chain.rules.filter((rule) => rule.families.includes(family));
}

export function renderRule(rule: CompiledRule, family: Family): ManifestRule {
  const { origin, counts } = rule;
  return { args: quoteWords(rule.words(family)), origin, ...(counts && { counts }) };
}

/** Whether a packet that enters this hook can be dropped by a rule of these chains. */
export function canDrop(compiled: readonly CompiledChain[], table: TableName, hook: HookName): boolean {
  const inTable = new Map(
    compiled.filter((chain) => chain.table === table).map((chain) => [chain.name, chain]),
  );
  // a table may have thousands of chains in a row
  const seen = new Set(
    compiled.filter((chain) => chain.table === table && chain.hook === hook).map(({ name }) => name),
  );
  for (const name of seen)
    for (const rule of inTable.get(name)?.rules ?? []) {
      if (rule.observed) continue;
      if (rule.drops) return true;
      if (rule.next !== undefined) seen.add(rule.next.chain);
    }
  return false;
}

/**
 * A jump to a chain whose rules are all of one family is needed in that family only: so an IPv4 port forward doesn't
 * bring up the IPv6 nat table. A `goto` stays, since even an empty chain ends the one it left.
 */
function narrowJumps(compiled: CompiledChain[]): void {
  const jumps = compiled.flatMap((from) =>
    from.rules.flatMap((rule) => {
      const isJump = rule.next !== undefined && !rule.next.goto;
      return isJump
        ? [{ from, rule, to: chainKey({ table: from.table, name: rule.next?.chain ?? "" }) }]
        : [];
    }),
  );
  const jumpsTo = Map.groupBy(jumps, ({ to }) => to);
  const familiesOf = (chain: CompiledChain): readonly Family[] =>
    chain.rules.length === 0 ? FAMILIES : FAMILIES.filter((family) => rulesOf(chain, family).length > 0);
  // a chain that lost a family is looked at again, for the sake of those that jump to it
  const toLookAt = [...compiled];
  for (let chain = toLookAt.pop(); chain !== undefined; chain = toLookAt.pop()) {
    const reached = familiesOf(chain);
    for (const { from, rule } of jumpsTo.get(chainKey(chain)) ?? []) {
      const kept = rule.families.filter((family) => reached.includes(family));
      if (kept.length === rule.families.length) continue;
      rule.families = kept;
      toLookAt.push(from);
    }
  }
}

function warnOfIdleRules(compiled: readonly CompiledChain[], report: Reporter): void {
  for (const { families, next, origin } of compiled.flatMap((chain) => chain.rules))
    if (families.length === 0 && origin.line !== undefined)
      report.warn(
        { line: origin.line },
        `this jump does nothing: the chain ${next?.chain} has no rule of its family`,
      );
}

export function chainKey({ table, name }: { table: TableName; name: string }): string {
  return `${table}/${name}`;
}
