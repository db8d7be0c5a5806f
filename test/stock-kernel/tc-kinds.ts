import { qdiscArgs } from "@sluice/control/compile/qdisc";
import type { TcFilter, TcQdisc, TcTree } from "@sluice/proto/manifest/manifest";
import { htbClass } from "../drivers/tc-lab.ts";

/** Kinds of qdisc that are no tree by themselves, each written in two ways that the kernel must tell apart. */
export const QDISCS: Readonly<Record<string, readonly [first: string, second: string]>> = {
  cake: ["bandwidth 1mbit memlimit 1mb", "bandwidth 1mbit"],
  codel: ["", "target 10ms ecn"],
  fq: ["", "maxrate 1mbit"],
  fq_codel: ["memory_limit 1mb", "noecn"],
  hhf: ["", "limit 500"],
  netem: ["delay 50ms", "delay 80ms 10ms loss 1%"],
  pie: ["", "target 20ms"],
  prio: ["bands 3", "bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 3"],
  red: [
    "limit 60000 min 5000 max 20000 avpkt 1000 burst 10 probability 0.1",
    "limit 60000 min 5000 max 20000 avpkt 1000 burst 10 probability 0.1 ecn",
  ],
  sfb: ["", "limit 200"],
  sfq: ["", "perturb 10"],
};
export const KINDS = Object.keys(QDISCS);

export type Variant = 0 | 1;

/** As compile writes it. */
export function qdisc(parent: string, handle: string, kind: string, variant: Variant): TcQdisc {
  const args = words(QDISCS[kind]?.[variant] ?? "");
  return { parent, handle, kind, args: qdiscArgs({ kind, args }) };
}

/** An HTB with a class for each kind, and that kind as its leaf. */
export function leaves(variant: (kind: string) => Variant): TcTree {
  const minors = KINDS.map((kind, index) => ({ kind, minor: (0x10 + index).toString(16) }));
  return {
    qdiscs: [
      { parent: "root", handle: "1:", kind: "htb", args: ["default", "10", "direct_qlen", "1000"] },
      ...minors.map(({ kind, minor }) => qdisc(`1:${minor}`, `${minor}:`, kind, variant(kind))),
    ],
    classes: minors.map(({ minor }) => htbClass("1:", `1:${minor}`, "200kbit")),
    filters: [],
  };
}

export function filter(kind: string, prio: number, handle: string, args: string, protocol = "ip"): TcFilter {
  return { parent: "1:", protocol, prio, handle, kind, args: words(args) };
}

/** An HTB with two classes and filters of every kind that leads to them. */
export function filtered(filters: readonly TcFilter[]): TcTree {
  return {
    qdiscs: [{ parent: "root", handle: "1:", kind: "htb", args: ["default", "20", "direct_qlen", "1000"] }],
    classes: [htbClass("1:", "1:10", "200kbit"), htbClass("1:", "1:20", "1024kbit")],
    filters: [...filters],
  };
}

export function hfscTree(classes: readonly [classid: string, parent: string, args: string][]): TcTree {
  return {
    qdiscs: [{ parent: "root", handle: "1:", kind: "hfsc", args: ["default", "20"] }],
    classes: classes.map(([classid, parent, args]) => ({ parent, classid, kind: "hfsc", args: words(args) })),
    filters: [filter("fw", 1, "80", "flowid 1:10")],
  };
}

export function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}
