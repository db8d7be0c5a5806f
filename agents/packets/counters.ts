/** What `iptables-save -c` shows: how often each rule and each chain's own end was met. */
export interface CountedRule {
  packets: number;
  /** the rule's words after `-A CHAIN`, as the kernel spells them */
  text: string;
}

export interface CountedChain {
  /** of a built-in chain */
  policy: string | undefined;
  /** that came to the end of a built-in chain */
  packets: number;
  rules: CountedRule[];
}

/** By table, then by chain. */
export type CountedTables = ReadonlyMap<string, ReadonlyMap<string, CountedChain>>;

export function parseCounters(text: string): CountedTables {
  const tables = new Map<string, Map<string, CountedChain>>();
  let now = new Map<string, CountedChain>();
  for (const line of text.split("\n")) {
    const [, table] = /^\*(\S+)/.exec(line) ?? [];
    const [, chain, policy, ended] = /^:(\S+) (\S+) \[(\d+):/.exec(line) ?? [];
    const [, packets, name, rule] = /^\[(\d+):\d+\] -A (\S+) ?(.*)$/.exec(line) ?? [];
    if (table !== undefined) {
      now = new Map();
      tables.set(table, now);
    } else if (chain !== undefined) {
      now.set(chain, { policy: policy === "-" ? undefined : policy, packets: Number(ended), rules: [] });
    } else if (name !== undefined) {
      now.get(name)?.rules.push({ packets: Number(packets), text: rule ?? "" });
    }
  }
  return tables;
}
