import { SluiceError } from "@sluice/proto/base/errors";
import { CHAIN_PREFIX, FAMILIES, type Family } from "@sluice/proto/base/names";
import { TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { Namespace } from "../../exec/namespace.ts";
import type { Script } from "../driver.ts";
import { tableKey } from "./snapshot.ts";
import { type IptablesBackend, iptablesTool } from "./tools.ts";

/** One rule as the kernel spells it, and what it matched since its chain was written. */
export interface RuleCounter {
  rule: string;
  packets: number;
  bytes: number;
}

/** Counters of chains, by `ip4/filter/SL-…`, in the order of their rules. */
export type Counters = ReadonlyMap<string, readonly RuleCounter[]>;

/** One save per family, as read.ts does it; what isn't ours is passed over, unless `all` are asked for. */
export async function readCounters(
  at: Namespace,
  backend: IptablesBackend,
  whose: "ours" | "all" = "ours",
): Promise<Counters> {
  const read = async (family: Family) => {
    const tool = iptablesTool(backend, family, "save");
    const { code, stdout, stderr } = await at.run(tool, ["-c"]);
    if (code !== 0) throw new SluiceError("UNAVAILABLE", `${tool} -c can't be read: ${stderr.trim()}`);
    return parseCounters(family, stdout, whose);
  };
  const [four, six] = await Promise.all(FAMILIES.map(read));
  return new Map([...(four ?? []), ...(six ?? [])]);
}

export function parseCounters(
  family: Family,
  text: string,
  whose: "ours" | "all" = "ours",
): Map<string, RuleCounter[]> {
  const chains = new Map<string, RuleCounter[]>();
  let table: TableName | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = TABLES.find((name) => name === line.slice(1));
    const found = /^\[(\d+):(\d+)\] -A (\S+) ?(.*)$/.exec(line);
    const [, packets, bytes, chain = "", rule = ""] = found ?? [];
    if (table === undefined || (whose === "ours" && !chain.startsWith(CHAIN_PREFIX))) continue;
    const key = `${tableKey(family, table)}/${chain}`;
    const rules = chains.get(key) ?? [];
    rules.push({ rule, packets: Number(packets), bytes: Number(bytes) });
    chains.set(key, rules);
  }
  return chains;
}

/** Those of one table (`ip4/filter`), by chain. */
export function countersOfTable(counters: Counters, table: string): Map<string, readonly RuleCounter[]> {
  const own = [...counters].filter(([key]) => key.startsWith(`${table}/`));
  return new Map(own.map(([key, rules]) => [key.slice(table.length + 1), rules]));
}

/** The table that a script is for, in the backend in use: another one's tool is named in full. */
export function tableOfScript({ driver, tool, text }: Script): string | undefined {
  if (driver !== "iptables" || !/^ip6?tables-restore$/.test(tool)) return undefined;
  return `ip${tool.startsWith("ip6") ? 6 : 4}/${/^\*(\S+)/.exec(text)?.[1]}`;
}
