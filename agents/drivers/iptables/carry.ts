import type { RuleCounter } from "./counters.ts";
import { splitArgs } from "./split-args.ts";

/**
 * Counters that go with rules from chain to chain, so that what is drawn from them goes on where it was. Pure.
 *
 * A rule's counter is said by `-c PACKETS BYTES`, in the very commit that writes it. Rules are found again in order, by their
 * words: what they lead to may be a chain that goes along, and the sets that they look into may have another name.
 *
 * iptables-nft 1.8.9 sets none in IPv6: there they begin anew.
 */
export interface GoesAlong {
  /** chains whose rules are being written */
  to: readonly string[];
  /** chains that have the counters, one after the other */
  from: readonly string[];
}

/** A restore text with what rules have counted until now; `counters` are those of its table, by chain. */
export function withCounters(
  text: string,
  counters: ReadonlyMap<string, readonly RuleCounter[]>,
  chains: readonly GoesAlong[],
): string {
  const lines = text.split("\n").map(readLine);
  const alike = new Map(
    chains.flatMap(({ to, from }, index) =>
      [...to, ...from].map((name) => [name, `chain ${index}`] as const),
    ),
  );
  for (const { to, from } of chains) {
    const known = from
      .flatMap((chain) => counters.get(chain) ?? [])
      .map((counter) => ({ counter, key: keyOf(counter.rule, alike) }));
    let next = 0;
    for (const line of to.flatMap((chain) => lines.filter((one) => one.chain === chain))) {
      const key = keyOf(line.rule, alike);
      let at = next;
      while (at < known.length && known[at]?.key !== key) at += 1;
      if (at === known.length) continue;
      next = at + 1;
      line.counter = known[at]?.counter;
    }
  }
  return lines.map(({ start, rule, counter }) => `${start}${words(counter)}${rule}`).join("\n");
}

interface Line {
  /** `-A CHAIN `, `-I CHAIN 3 `; of another line, all of it */
  start: string;
  chain: string | undefined;
  rule: string;
  counter?: RuleCounter | undefined;
}

function readLine(text: string): Line {
  const [start, , chain] = /^-(A|I) (\S+) (\d+ )?/.exec(text) ?? [text];
  return { start, chain, rule: text.slice(start.length) };
}

function words(counter: RuleCounter | undefined): string {
  return counter === undefined || counter.packets === 0 ? "" : `-c ${counter.packets} ${counter.bytes} `;
}

/** What makes it the same rule in another chain. */
function keyOf(rule: string, alike: ReadonlyMap<string, string>): string {
  const args = splitArgs(rule);
  const names = args.map((word, index) => {
    const before = args[index - 1] ?? "";
    if (/^--(match|add|del|map)-set$/.test(before)) return "a set";
    return /^-[jg]$/.test(before) ? (alike.get(word) ?? word) : word;
  });
  return JSON.stringify(names);
}

/** What a written text says of counters: packets and bytes of each rule of a chain, one after the other. */
export function countersIn(text: string, chain: string): number[] {
  const rules = text.split("\n").filter((line) => line.startsWith(`-A ${chain} `));
  return rules.flatMap((line) => {
    const [, packets = 0, bytes = 0] = /^-A \S+ -c (\d+) (\d+) /.exec(line) ?? [];
    return [Number(packets), Number(bytes)];
  });
}
