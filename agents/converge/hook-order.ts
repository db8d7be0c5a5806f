import type { ManifestHook } from "@sluice/proto/manifest/manifest";
import type { Target } from "../drivers/driver.ts";
import {
  type HookSnapshot,
  type IptablesSnapshot,
  placeOf,
  type TableSnapshot,
  tableKey,
} from "../drivers/iptables/snapshot.ts";

/**
 * The order in which packets will meet our chains and those of others, hook by hook, and whom it passes by. Only of hooks
 * where others have something. Pure.
 */
export function hookOrders(target: Target, { tables }: IptablesSnapshot): string[] {
  const byHook = Map.groupBy(target.hooks, ({ family, table, hook }) => `${tableKey(family, table)} ${hook}`);
  return [...byHook].flatMap(([name, hooks]) => {
    const [first] = hooks;
    const table = first && tables.get(tableKey(first.family, first.table));
    const standing = first && table?.hooks.get(first.hook);
    if (table === undefined || standing === undefined || foreignRules(standing) === 0) return [];
    const head = hooks.find(({ at }) => at === "head");
    const tail = hooks.find(({ at }) => at === "tail");
    const order = inOrder(standing, table, head, tail);
    return [`${name}: ${order.join(", then ")}${passesBy(head, tail)}`];
  });
}

function foreignRules({ rules, jumps }: HookSnapshot): number {
  return rules - jumps.length;
}

/** A jump of ours that stands already stays where it is; one that doesn't goes in first, or last. */
function inOrder(
  standing: HookSnapshot,
  table: TableSnapshot,
  head: ManifestHook | undefined,
  tail: ManifestHook | undefined,
): string[] {
  const own = head !== undefined && placeOf(head, table) === head.hook ? head : undefined;
  const indexOf = (hook: ManifestHook | undefined) =>
    standing.jumps.find(({ chain }) => chain === hook?.chain)?.index;
  const first = own === undefined ? -1 : (indexOf(own) ?? -1);
  const last = tail === undefined ? standing.rules : (indexOf(tail) ?? standing.rules);
  const others = (from: number, to: number) => foreignBetween(standing, from, to, head);
  return [
    ...others(-1, first),
    ...(own ? [own.chain] : []),
    ...others(first, last),
    ...(tail ? [tail.chain] : []),
    ...others(last, standing.rules),
  ];
}

/** What others have between two places of a hook, both left out: the chains they go to, and how many rules beside. */
function foreignBetween(
  { jumps, foreignJumps }: HookSnapshot,
  from: number,
  to: number,
  head: ManifestHook | undefined,
): string[] {
  const within = ({ index }: { index: number }) => index > from && index < to;
  const chains = foreignJumps.filter(within).map(({ chain }) => chain);
  const rest = Math.max(0, to - from - 1) - chains.length - jumps.filter(within).length;
  const named = [...new Set(chains)].map((chain) =>
    head?.via === chain ? `${chain} (${head.chain} first in it)` : chain,
  );
  return [...named, ...(rest === 0 ? [] : [rest === 1 ? "1 rule of others" : `${rest} rules of others`])];
}

function passesBy(head: ManifestHook | undefined, tail: ManifestHook | undefined): string {
  const ends = tail === undefined ? "" : `; what none of them decides ends in ${tail.chain}`;
  if (head === undefined) return ends;
  const { chain, accept } = head;
  const dropped = `: what ${chain} drops`;
  if (accept === "final") return `${dropped} or accepts never gets to them (accept: final)${ends}`;
  if (accept === "return")
    return `${dropped} never gets to them, what it accepts does (accept: return)${ends}`;
  return `${dropped} never gets to them${ends}`;
}
