import { CHAIN_PREFIX, type Family } from "@sluice/proto/base/names";
import { HOOKS, TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { Present } from "@sluice/proto/wire/present";

/** One table of one family: what others keep in it. */
export interface StandingTable {
  family: Family;
  table: TableName;
  /** of the built-in chains */
  policies: Map<string, string>;
  /** rules by chain, built-in ones too, without `-A CHAIN` */
  chains: Map<string, string[]>;
}

/** Tables that Sluice doesn't know, such as `security`, and what is ours are left out. */
export function standingTables(rules: Present["rules"]): StandingTable[] {
  const tables: StandingTable[] = [];
  for (const { family, lines } of rules) {
    let now: StandingTable | undefined;
    for (const line of lines) {
      if (line.startsWith("*")) {
        const table = TABLES.find((name) => name === line.slice(1));
        now = table && { family, table, policies: new Map(), chains: new Map() };
        if (now !== undefined) tables.push(now);
      } else if (line.startsWith(":")) {
        const [name = "", policy = "-"] = line.slice(1).split(" ");
        if (!isOurs(name)) now?.chains.set(name, []);
        if (policy !== "-") now?.policies.set(name, policy);
      } else {
        const [, chain = "", rule = ""] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
        if (!isOurs(goalOf(rule) ?? "")) now?.chains.get(chain)?.push(rule);
      }
    }
  }
  return tables;
}

/** What a rule goes to: a chain or a target. */
export function goalOf(rule: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
}

/** A chain and all that its rules lead to. */
export function chainsFrom({ chains }: StandingTable, start: string): Set<string> {
  const found = new Set([start]);
  for (const name of found)
    for (const rule of chains.get(name) ?? []) {
      const goal = goalOf(rule);
      if (goal !== undefined && chains.has(goal)) found.add(goal);
    }
  return found;
}

export function isBuiltIn(chain: string): boolean {
  return HOOKS.some((hook) => hook === chain);
}

function isOurs(chain: string): boolean {
  return chain.startsWith(CHAIN_PREFIX);
}
