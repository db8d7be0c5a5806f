import type { Family } from "@sluice/proto/base/names";
import type { Difference } from "@sluice/proto/manifest/difference";
import { isExempt } from "@sluice/proto/manifest/exempt";
import {
  HOOKS,
  type ManifestHook,
  type ManifestTakeover,
  type TableName,
} from "@sluice/proto/manifest/manifest";
import { goalOf } from "./parse.ts";
import { type ForeignRule, type TableSnapshot, tableKey } from "./snapshot.ts";

/**
 * What stands of what a takeover claims in one table, how it goes, and how it comes back. Pure.
 *
 * A rule in a built-in chain goes by its text. It comes back before or behind all that stayed where it stood so, else at its
 * number; a chain goes and comes whole.
 */
export interface Claimed {
  family: Family;
  table: TableName;
  policies: { hook: string; have: string; want: string }[];
  /** in built-in chains */
  rules: ClaimedRule[];
  chains: { name: string; rules: string[] }[];
}

export interface ClaimedRule extends ForeignRule {
  /** nothing of others that stays is behind it */
  isLast?: boolean | undefined;
}

export type TableClaim = Exclude<ManifestTakeover, { what: "qdisc" }>;

export function claimsIn(
  takeover: readonly ManifestTakeover[],
  family: Family,
  table: TableName,
): TableClaim[] {
  return takeover.flatMap((one) =>
    one.what !== "qdisc" && one.family === family && one.table === table ? [one] : [],
  );
}

/** Undefined where nothing that is claimed stands. */
export function claimedOf(
  claims: readonly TableClaim[],
  have: TableSnapshot | undefined,
): Claimed | undefined {
  if (have === undefined || claims.length === 0) return undefined;
  const { family, table, foreign = [] } = have;
  const whole = claims.some(({ what }) => what === "table");
  const named = new Set(claims.flatMap((one) => (one.what === "chain" ? [one.chain] : [])));
  const isGone = (chain: string) => have.foreignChains.has(chain) && (whole || named.has(chain));
  const chains = [...have.foreignChains].filter(isGone).map((name) => ({
    name,
    rules: foreign.filter(({ chain }) => chain === name).map(({ rule }) => rule),
  }));
  const isNamed = ({ chain, rule }: ForeignRule) =>
    claims.some((one) => one.what === "chain" && one.chain === chain && !isExempt(rule, one.except));
  const isClaimed = (one: ForeignRule) =>
    isBuiltIn(one.chain) && (whole || isNamed(one) || isGone(goalOf(one.rule) ?? ""));
  const inHooks = Map.groupBy(foreign, ({ chain }) => chain);
  const rules = [...inHooks.values()].flatMap((all) => {
    const lastStaying = all.findLastIndex((one) => !isClaimed(one));
    return all.flatMap((one, place) =>
      isClaimed(one) ? [{ ...one, ...(place > lastStaying && { isLast: true }) }] : [],
    );
  });
  const policies = [...have.hooks].flatMap(([hook, { policy }]) => {
    const said = claims.find((one) => one.what === "chain-policy" && one.hook === hook);
    const want = said?.what === "chain-policy" ? said.verdict : whole ? "ACCEPT" : policy;
    return isBuiltIn(hook) && want !== policy ? [{ hook, have: policy, want }] : [];
  });
  if (chains.length + rules.length + policies.length === 0) return undefined;
  return { family, table, policies, rules, chains };
}

/** What is kept by several claims, as one: it comes back in one commit, its rules in the order of their numbers. */
export function united<T extends Claimed>(all: readonly T[]): T[] {
  const tables = Map.groupBy(all, ({ family, table }) => tableKey(family, table));
  return [...tables.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const every = [first, ...others];
    const rules = every.flatMap((one) => one.rules).sort((a, b) => a.index - b.index);
    const policies = every.flatMap((one) => one.policies);
    return [{ ...first, policies, rules, chains: every.flatMap((one) => one.chains) }];
  });
}

/** Rules of other foreign chains that go to a claimed one: the kernel wouldn't let that go. */
export function holdClaimed({ chains }: Claimed, { foreign = [] }: TableSnapshot): ForeignRule[] {
  const gone = new Set(chains.map(({ name }) => name));
  return foreign.filter(
    ({ chain, rule }) => !isBuiltIn(chain) && !gone.has(chain) && gone.has(goalOf(rule) ?? ""),
  );
}

/** Takes it away. */
export function takeText({ table, policies, rules, chains }: Claimed): string {
  return restoreText(table, [
    ...policies.map(({ hook, want }) => `-P ${hook} ${want}`),
    ...rules.map(({ chain, rule }) => `-D ${chain} ${rule}`.trimEnd()),
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...chains.map(({ name }) => `-X ${name}`),
  ]);
}

/** Gives it back into a table that has these jumps of ours. */
export function backText(claimed: Claimed, hooks: readonly ManifestHook[]): string {
  const { table, policies, rules, chains } = claimed;
  const place = ({ chain, index }: ForeignRule) => index + 1 + headsIn(claimed, chain, hooks);
  return restoreText(table, [
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...chains.flatMap(({ name, rules: own }) => own.map((rule) => `-A ${name} ${rule}`.trimEnd())),
    ...rules.map((one) => {
      const how = isBehind(claimed, one, hooks) ? `-A ${one.chain}` : `-I ${one.chain} ${place(one)}`;
      return `${how} ${one.rule}`.trimEnd();
    }),
    ...policies.map(({ hook, have }) => `-P ${hook} ${have}`),
  ]);
}

/**
 * Whether it can come back while ours still stand, so that there is no moment with neither: each of its rules stands before or
 * behind all those of others that stayed, and no jump of ours is to stay in its chain.
 */
export function comesFirst(claimed: Claimed, hooks: readonly ManifestHook[]): boolean {
  return claimed.rules.every(
    (one) =>
      isBehind(claimed, one, hooks) || (isFirst(claimed, one) && headsIn(claimed, one.chain, hooks) === 0),
  );
}

/** Rules that stand between rules of others that a claim leaves where they are: ours can only stand before and behind these. */
export function amidExempt(claimed: Claimed, claims: readonly TableClaim[]): ForeignRule[] {
  const hasExempt = (hook: string) =>
    claims.some((one) => one.what === "chain" && one.chain === hook && (one.except?.length ?? 0) > 0);
  return claimed.rules.filter((one) => hasExempt(one.chain) && !isFirst(claimed, one) && one.isLast !== true);
}

/** What stood behind all that stayed comes back there, whatever has come and gone since. */
function isBehind(claimed: Claimed, one: ClaimedRule, hooks: readonly ManifestHook[]): boolean {
  return one.isLast === true && !isFirst(claimed, one) && jumpsIn(claimed, one.chain, hooks).length === 0;
}

/** Whether only claimed rules stand before it. */
function isFirst({ rules }: Claimed, { chain, index }: ForeignRule): boolean {
  return rules.filter((one) => one.chain === chain && one.index < index).length === index;
}

function headsIn(claimed: Claimed, chain: string, hooks: readonly ManifestHook[]): number {
  return jumpsIn(claimed, chain, hooks).filter(({ at }) => at === "head").length;
}

function jumpsIn(
  { family, table }: Claimed,
  chain: string,
  hooks: readonly ManifestHook[],
): readonly ManifestHook[] {
  return hooks.filter(
    (one) => one.family === family && one.table === table && one.hook === chain && !one.via,
  );
}

/** Lines of `iptables -S`, any of which says that it stands: it goes and comes in one commit. */
export function marksOf({ policies, rules, chains }: Claimed): string[] {
  return [
    ...policies.map(({ hook, have }) => `-P ${hook} ${have}`),
    ...chains.map(({ name }) => `-N ${name}`),
    ...rules.map(({ chain, rule }) => `-A ${chain} ${rule}`.trimEnd()),
  ];
}

export function claimedDifferences({ family, table, policies, rules, chains }: Claimed): Difference[] {
  const key = tableKey(family, table);
  const inHooks = Map.groupBy(rules, ({ chain }) => chain);
  return [
    ...policies.map(
      ({ hook, have, want }): Difference => ({
        ...{ driver: "iptables", object: `${key}/${hook}`, kind: "changed" },
        want: [`-P ${hook} ${want}`],
        have: [`-P ${hook} ${have}`],
      }),
    ),
    ...[...inHooks].map(
      ([hook, all]): Difference => ({
        ...{ driver: "iptables", object: `${key}/${hook}`, kind: "extra" },
        ...cut(all.map(({ rule }) => rule)),
      }),
    ),
    ...chains.map(
      ({ name, rules: own }): Difference => ({
        ...{ driver: "iptables", object: `${key}/${name}`, kind: "extra", ...cut(own) },
      }),
    ),
  ];
}

const SHOWN_MAX = 20;

function cut(lines: readonly string[]): Pick<Difference, "have" | "more"> {
  const more = lines.length - SHOWN_MAX;
  return { have: lines.slice(0, SHOWN_MAX), ...(more > 0 && { more }) };
}

function restoreText(table: TableName, lines: readonly string[]): string {
  return `${[`*${table}`, ...lines, "COMMIT"].join("\n")}\n`;
}

function isBuiltIn(chain: string): boolean {
  return HOOKS.some((hook) => hook === chain);
}
