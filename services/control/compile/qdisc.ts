import type { Facts } from "@sluice/proto/manifest/facts";
import type { LeafQdisc } from "@sluice/proto/policy/document";
import { listed, type Reporter, type Spot } from "./findings.ts";

/**
 * What a qdisc would take from its device (queue length, mtu) is always said, so that the same policy gives the same
 * text on every device and in a rehearsal. A full Ethernet frame counts 1,514 bytes; the other values are the kernel's.
 */
export const FRAME_BYTES = 1514;

const ALWAYS_SAID: Readonly<Record<string, readonly (readonly [name: string, value: number])[]>> = {
  pfifo: [["limit", 1000]],
  bfifo: [["limit", 1000 * FRAME_BYTES]],
  pfifo_head_drop: [["limit", 1000]],
  sfq: [
    ["limit", 127],
    ["quantum", FRAME_BYTES],
  ],
  fq_codel: [
    ["limit", 10_240],
    ["quantum", FRAME_BYTES],
  ],
  codel: [["limit", 1000]],
  pie: [["limit", 1000]],
  fq: [
    ["limit", 10_000],
    ["quantum", 2 * FRAME_BYTES],
    ["initial_quantum", 10 * FRAME_BYTES],
  ],
  fq_pie: [
    ["limit", 10_240],
    ["quantum", FRAME_BYTES],
  ],
  netem: [["limit", 1000]],
  hhf: [["quantum", FRAME_BYTES]],
  sfb: [["limit", 1000]],
};

/** tc reads these and the kernel never shows them again: whether they stand, or stand no more, nobody could tell. */
const NEVER_SHOWN: Readonly<Record<string, readonly string[]>> = { netem: ["distribution"] };

/**
 * What `auto` is: the first of these that the kernel has. Fair between connections and short of queue comes first, then
 * fair, then short; pfifo is all that is left. The plan shows which it is.
 */
const BEST_FIRST = ["fq_codel", "cake", "fq_pie", "sfq", "codel", "pie", "pfifo"];

export function chosenQdisc(
  qdisc: LeafQdisc,
  { capabilities }: Facts,
  at: Spot,
  report: Reporter,
): LeafQdisc {
  if (qdisc.kind !== "auto") return qdisc;
  const found = BEST_FIRST.findIndex((kind) => capabilities.qdiscs.includes(kind));
  const kind = BEST_FIRST[found] ?? "pfifo";
  if (found > 0)
    report.warn(at, `auto is ${kind} here: this kernel has no ${BEST_FIRST.slice(0, found).join(", ")}`);
  return { kind, args: [] };
}

/** The qdisc's arguments with what must be said. */
export function qdiscArgs({ kind, args }: LeafQdisc): string[] {
  const missing = (ALWAYS_SAID[kind] ?? []).filter(([name]) => !args.includes(name));
  return [...missing.flatMap(([name, value]) => [name, String(value)]), ...args];
}

/** Refuses kinds that the kernel lacks, by name, and words that tc would read as more than one. */
export function checkQdisc({ kind, args }: LeafQdisc, facts: Facts, at: Spot, report: Reporter): void {
  const { qdiscs } = facts.capabilities;
  if (!qdiscs.includes(kind))
    report.problem(at, `this kernel has no ${kind} qdisc`, {
      found: kind,
      expected: listed([...qdiscs].sort(), "none: it has no traffic control"),
    });
  const hidden = args.find((word) => NEVER_SHOWN[kind]?.includes(word));
  if (hidden !== undefined)
    report.problem(at, `the kernel doesn't tell the ${hidden} of a ${kind}, so it can't be kept as written`, {
      found: hidden,
      expected: `${kind} without ${hidden}`,
    });
  const bad = args.find((word) => !/^[A-Za-z0-9._:/%+,-]+$/.test(word));
  if (bad !== undefined)
    report.problem(at, `tc can't take this argument of ${kind}`, { found: JSON.stringify(bad) });
}
