import { SluiceError } from "@sluice/proto/base/errors";
import { CHAIN_PREFIX, FAMILIES, type Family } from "@sluice/proto/base/names";
import { TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { Namespace } from "../../exec/namespace.ts";
import { tableKey } from "./snapshot.ts";
import { type IptablesBackend, iptablesTool } from "./tools.ts";

/** One rule as the kernel spells it, and what it matched since its chain was written. */
export interface RuleCounter {
  rule: string;
  packets: number;
  bytes: number;
}

/** Counters of our chains, by `ip4/filter/SL-…`, in the order of their rules. */
export type Counters = ReadonlyMap<string, readonly RuleCounter[]>;

/** One save per family, as read.ts does it; what isn't ours is passed over. */
export async function readCounters(at: Namespace, backend: IptablesBackend): Promise<Counters> {
  const read = async (family: Family) => {
    const tool = iptablesTool(backend, family, "save");
    const { code, stdout, stderr } = await at.run(tool, ["-c"]);
    if (code !== 0) throw new SluiceError("UNAVAILABLE", `${tool} -c can't be read: ${stderr.trim()}`);
    return parseCounters(family, stdout);
  };
  const [four, six] = await Promise.all(FAMILIES.map(read));
  return new Map([...(four ?? []), ...(six ?? [])]);
}

export function parseCounters(family: Family, text: string): Map<string, RuleCounter[]> {
  const chains = new Map<string, RuleCounter[]>();
  let table: TableName | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = TABLES.find((name) => name === line.slice(1));
    const found = /^\[(\d+):(\d+)\] -A (\S+) ?(.*)$/.exec(line);
    const [, packets, bytes, chain = "", rule = ""] = found ?? [];
    if (table === undefined || !chain.startsWith(CHAIN_PREFIX)) continue;
    const key = `${tableKey(family, table)}/${chain}`;
    const rules = chains.get(key) ?? [];
    rules.push({ rule, packets: Number(packets), bytes: Number(bytes) });
    chains.set(key, rules);
  }
  return chains;
}
