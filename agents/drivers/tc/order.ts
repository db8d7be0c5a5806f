import type { TcClass, TcQdisc, TcTree } from "@sluice/proto/manifest/manifest";
import { qdiscOf } from "./ids.ts";

/**
 * The order in which a tree is built: a qdisc, its classes (parents first), then the qdiscs on those classes, each in
 * the same way. Filters come after all of it. What hangs on nothing comes last: the kernel then says what is wrong.
 */
export type Node = { object: "qdisc"; target: TcQdisc } | { object: "class"; target: TcClass };

export function buildOrder(tree: TcTree): Node[] {
  const nodes: Node[] = [];
  const placed = new Set<string>();
  const classesUnder = Map.groupBy(tree.classes, (one) => one.parent);
  const qdiscsWithin = Map.groupBy(tree.qdiscs, (one) =>
    isRootPlace(one.parent) ? "" : qdiscOf(one.parent),
  );

  function placeQdisc(qdisc: TcQdisc): void {
    if (placed.has(`qdisc ${qdisc.handle}`)) return;
    placed.add(`qdisc ${qdisc.handle}`);
    nodes.push({ object: "qdisc", target: qdisc });
    placeClasses(qdisc.handle);
    for (const one of qdiscsWithin.get(qdisc.handle) ?? []) placeQdisc(one);
  }

  function placeClasses(parent: string): void {
    for (const one of classesUnder.get(parent) ?? []) {
      if (placed.has(`class ${one.classid}`)) continue;
      placed.add(`class ${one.classid}`);
      nodes.push({ object: "class", target: one });
      placeClasses(one.classid);
    }
  }

  for (const qdisc of qdiscsWithin.get("") ?? []) placeQdisc(qdisc);
  for (const one of tree.classes)
    if (!placed.has(`class ${one.classid}`)) nodes.push({ object: "class", target: one });
  for (const qdisc of tree.qdiscs) placeQdisc(qdisc);
  return nodes;
}

/** `root` and `ingress` hang on the device itself. */
export function isRootPlace(parent: string): boolean {
  return !parent.includes(":");
}

/** Children before parents: a class can't go while it has one. */
export function leavesFirst<T extends { classid: string; parent: string }>(classes: readonly T[]): T[] {
  const parentOf = new Map(classes.map((one) => [one.classid, one.parent]));
  const depthOf = (classid: string): number => {
    let depth = 0;
    for (let at = parentOf.get(classid); at !== undefined && depth <= classes.length; at = parentOf.get(at))
      depth += 1;
    return depth;
  };
  return classes
    .map((one) => ({ one, depth: depthOf(one.classid) }))
    .sort((a, b) => b.depth - a.depth)
    .map(({ one }) => one);
}
