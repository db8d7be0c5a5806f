import { CHAIN_PREFIX, DOCKER_USER, type Family, SET_PREFIX } from "@sluice/proto/base/names";
import { HOOKS, TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { ForeignRule, ForeignUse, HookSnapshot, TableSnapshot } from "./snapshot.ts";

interface GrowingHook extends HookSnapshot {
  jumps: { chain: string; index: number }[];
  foreignJumps: { chain: string; index: number }[];
}

interface Growing {
  chains: Map<string, string[]>;
  hooks: Map<string, GrowingHook>;
  foreignChains: Set<string>;
  foreignUses: ForeignUse[];
  foreign?: ForeignRule[];
}

/** Reads what `iptables-save` prints (without `-c`). Tables that Sluice doesn't know, such as `security`, are left out. */
export function parseSave(
  family: Family,
  text: string,
  /** the tables whose foreign rules are kept */
  whole: readonly TableName[] = [],
): TableSnapshot[] {
  const tables: TableSnapshot[] = [];
  let now: Growing | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      const table = TABLES.find((name) => name === line.slice(1));
      now = undefined;
      if (table === undefined) continue;
      now = { chains: new Map(), hooks: new Map(), foreignChains: new Set(), foreignUses: [] };
      if (whole.includes(table)) now.foreign = [];
      tables.push({ family, table, ...now });
    } else if (now !== undefined && line.startsWith(":")) {
      declare(now, line);
    } else if (now !== undefined && line.startsWith("-A ")) {
      addRule(now, line);
    }
  }
  return tables;
}

/** Tables that hold what only nft can print. iptables-save says so with rc 0, and what it then prints isn't true. */
export function unreadableTables(text: string): TableName[] {
  const named = [...text.matchAll(/Table [`'](\w+)' (?:contains|is) incompatible/g)].map((match) => match[1]);
  return TABLES.filter((table) => named.includes(table));
}

function declare(now: Growing, line: string): void {
  const [name = "", policy = "-"] = line.slice(1).split(" ");
  const isBuiltIn = HOOKS.some((hook) => hook === name) && policy !== "-";
  if (isBuiltIn || name === DOCKER_USER)
    now.hooks.set(name, { policy, rules: 0, jumps: [], foreignJumps: [] });
  if (isBuiltIn) return;
  if (name.startsWith(CHAIN_PREFIX)) now.chains.set(name, []);
  else now.foreignChains.add(name);
}

function addRule(now: Growing, line: string): void {
  const [, name = "", rule = ""] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
  const own = now.chains.get(name);
  if (own !== undefined) {
    own.push(rule);
    return;
  }
  const counted = now.hooks.get(name);
  const index = counted?.rules ?? 0;
  if (counted !== undefined) counted.rules++;
  const jump = /^-j (\S+)$/.exec(rule)?.[1];
  if (counted !== undefined && jump?.startsWith(CHAIN_PREFIX)) {
    counted.jumps.push({ chain: jump, index });
    return;
  }
  now.foreign?.push({ chain: name, index: index - (counted?.jumps.length ?? 0), rule });
  const uses = usedByRule(rule);
  for (const used of uses) now.foreignUses.push({ chain: name, rule, uses: used });
  const goal = goalOf(rule);
  if (goal !== undefined && now.foreignChains.has(goal)) counted?.foreignJumps.push({ chain: goal, index });
}

/** What a rule goes to: a chain or a target. */
export function goalOf(rule: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
}

function usedByRule(rule: string): string[] {
  const chain = goalOf(rule);
  const sets = [...rule.matchAll(/--(?:match|add|del|map)-set (\S+)/g)].map((match) => match[1] ?? "");
  return [
    ...(chain?.startsWith(CHAIN_PREFIX) ? [chain] : []),
    ...sets.filter((name) => name.startsWith(SET_PREFIX)),
  ];
}
