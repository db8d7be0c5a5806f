import { CHAIN_PREFIX, type Family, SET_PREFIX } from "@sluice/proto/base/names";
import { HOOKS, type HookName, TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { ForeignUse, HookSnapshot, TableSnapshot } from "./snapshot.ts";

interface Growing {
  chains: Map<string, string[]>;
  hooks: Map<HookName, HookSnapshot & { jumps: { chain: string; index: number }[] }>;
  foreignChains: Set<string>;
  foreignUses: ForeignUse[];
}

/** Reads what `iptables-save` prints (without `-c`). Tables that Sluice doesn't know, such as `security`, are left out. */
export function parseSave(family: Family, text: string): TableSnapshot[] {
  const tables: TableSnapshot[] = [];
  let now: Growing | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      const table = TABLES.find((name) => name === line.slice(1));
      now = undefined;
      if (table === undefined) continue;
      now = { chains: new Map(), hooks: new Map(), foreignChains: new Set(), foreignUses: [] };
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
  const hook = HOOKS.find((known) => known === name);
  if (hook !== undefined && policy !== "-") now.hooks.set(hook, { policy, rules: 0, jumps: [] });
  else if (name.startsWith(CHAIN_PREFIX)) now.chains.set(name, []);
  else now.foreignChains.add(name);
}

function addRule(now: Growing, line: string): void {
  const [, name = "", rule = ""] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
  const own = now.chains.get(name);
  if (own !== undefined) {
    own.push(rule);
    return;
  }
  const hook = HOOKS.find((known) => known === name);
  const counted = hook === undefined ? undefined : now.hooks.get(hook);
  const index = counted?.rules ?? 0;
  if (counted !== undefined) counted.rules++;
  const jump = /^-j (\S+)$/.exec(rule)?.[1];
  if (counted !== undefined && jump?.startsWith(CHAIN_PREFIX)) {
    counted.jumps.push({ chain: jump, index });
    return;
  }
  for (const uses of usedByRule(rule)) now.foreignUses.push({ chain: name, rule, uses });
}

function usedByRule(rule: string): string[] {
  const chain = / ?-[jg] (\S+)/.exec(rule)?.[1];
  const sets = [...rule.matchAll(/--(?:match|add|del|map)-set (\S+)/g)].map((match) => match[1] ?? "");
  return [
    ...(chain?.startsWith(CHAIN_PREFIX) ? [chain] : []),
    ...sets.filter((name) => name.startsWith(SET_PREFIX)),
  ];
}
