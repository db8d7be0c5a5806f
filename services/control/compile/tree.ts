import type { Facts } from "@sluice/proto/manifest/facts";
import type { TcClass, TcQdisc, TcTree } from "@sluice/proto/manifest/manifest";
import type { ClassTree, ShapingClass, ShapingTree } from "@sluice/proto/policy/document";
import type { Reporter, Spot } from "./findings.ts";
import { hfscArgs, hfscClassArgs } from "./hfsc.ts";
import { checkHtbClass, htbArgs, htbClassArgs } from "./htb.ts";
import { prioArgs } from "./prio.ts";
import { checkQdisc, chosenQdisc, qdiscArgs } from "./qdisc.ts";

/**
 * A tree of a policy as tc takes it: the root (`1:` unless the policy says another number), its classes, parents first, what
 * stands inside of each.
 *
 * A class may hold a tree of its own. What leads a packet there leads it to the class first, then on in the inner tree:
 * so a lead names a class in each qdisc on the way.
 */
export interface PlacedClass<Class extends ShapingClass = ShapingClass> {
  shaped: Class;
  classid: string;
  parent: string;
  at: Spot;
}

export interface Lead {
  shaped: ShapingClass;
  /** from the device inwards: in which qdisc to which class */
  way: readonly { qdisc: string; classid: string }[];
  at: Spot;
}

export interface BuiltTree {
  tree: TcTree;
  /** in the order in which a packet is tried; those inside of a class come before the class itself */
  leads: Lead[];
}

const ROOT = 1;

interface Place {
  parent: string;
  handle: string;
  /** the class around it and those around that */
  way: Lead["way"];
  at: Spot;
}

export function buildTree(tree: ShapingTree, facts: Facts, at: Spot, report: Reporter): BuiltTree {
  const number = (tree.kind === "single" ? tree.qdisc.handle : tree.handle) ?? ROOT;
  const root: Place = { parent: "root", handle: handleText(number), way: [], at };
  if (tree.kind === "single") {
    const spot = { line: tree.line, column: tree.column, path: at.path };
    const qdisc = chosenQdisc(tree.qdisc, facts, spot, report);
    checkQdisc(qdisc, facts, spot, report);
    return { tree: { ...EMPTY, qdiscs: [qdiscAt(root, qdisc.kind, qdiscArgs(qdisc), report)] }, leads: [] };
  }
  const built = buildClasses(tree, root, facts, report);
  checkNumbers(built.leads, number, report);
  return built;
}

const EMPTY: TcTree = { qdiscs: [], classes: [], filters: [] };

function buildClasses(tree: ClassTree, place: Place, facts: Facts, report: Reporter): BuiltTree {
  checkQdisc(
    { kind: tree.kind, args: [] },
    facts,
    { line: tree.line, column: tree.column, path: place.at.path },
    report,
  );
  const { rootArgs, placed, classes } = ofKind(tree, place, report);
  const qdiscs: TcQdisc[] = [qdiscAt(place, tree.kind, rootArgs, report)];
  const leads: Lead[] = [];
  checkClasses(placed, report);
  for (const { shaped, classid, at } of placed) {
    const inside = { parent: classid, handle: handleText(insideHandle(shaped)), at };
    const way = [...place.way, { qdisc: place.handle, classid }];
    if (shaped.leaf !== undefined) {
      const spot = { ...at, path: `${at.path}.leaf` };
      const leaf = chosenQdisc(shaped.leaf, facts, spot, report);
      checkQdisc(leaf, facts, spot, report);
      qdiscs.push(qdiscAt({ ...inside, way }, leaf.kind, qdiscArgs(leaf), report));
    }
    if (shaped.inside !== undefined) {
      const spot = { ...at, path: `${at.path}.leaf` };
      const inner = buildClasses(shaped.inside, { ...inside, way, at: spot }, facts, report);
      qdiscs.push(...inner.tree.qdiscs);
      classes.push(...inner.tree.classes);
      leads.push(...inner.leads);
    }
    leads.push({ shaped, way, at });
  }
  return { tree: { qdiscs, classes, filters: [] }, leads };
}

/** What differs between kinds of trees. */
function ofKind(
  tree: ClassTree,
  place: Place,
  report: Reporter,
): { rootArgs: string[]; placed: PlacedClass[]; classes: TcClass[] } {
  const fallback = (classes: readonly PlacedClass[]) =>
    classes.find(({ shaped }) => shaped.isDefault)?.shaped.minor;
  const classAt = <Class extends ShapingClass>(args: (shaped: Class) => string[]) => {
    return ({ shaped, classid, parent, at }: PlacedClass<Class>): TcClass => ({
      parent,
      classid,
      kind: tree.kind,
      args: args(shaped),
      origin: report.origin(at),
    });
  };
  switch (tree.kind) {
    case "htb": {
      const placed = placeClasses(tree.classes, place);
      for (const one of placed) checkHtbClass(one, report);
      return {
        rootArgs: htbArgs(tree, fallback(placed)),
        placed,
        classes: placed.map(classAt((shaped) => htbClassArgs(shaped, tree.r2q))),
      };
    }
    case "hfsc": {
      const placed = placeClasses(tree.classes, place);
      return {
        rootArgs: hfscArgs(fallback(placed)),
        placed,
        classes: placed.map(classAt(hfscClassArgs)),
      };
    }
    case "prio": // makes its classes by itself
      return { rootArgs: prioArgs(tree), placed: placeClasses(tree.classes, place), classes: [] };
  }
}

/** In the order written, parents before children. */
function placeClasses<Class extends ShapingClass & { children: Class[] }>(
  classes: readonly Class[],
  { handle, at: { path } }: Place,
): PlacedClass<Class>[] {
  const place = (some: readonly Class[], parent: string, above: string): PlacedClass<Class>[] =>
    some.flatMap((shaped) => {
      const classid = `${handle}${shaped.minor.toString(16)}`;
      const at = { line: shaped.line, column: shaped.column, path: `${above}.classes.${shaped.name}` };
      return [{ shaped, classid, parent, at }, ...place(shaped.children, classid, at.path)];
    });
  return place(classes, handle, path);
}

function qdiscAt({ parent, handle, at }: Place, kind: string, args: string[], report: Reporter): TcQdisc {
  return { parent, handle, kind, args, origin: report.origin(at) };
}

/** What would make a tree other than the one that is written, or none at all. */
function checkClasses(placed: readonly PlacedClass[], report: Reporter): void {
  let fallback: string | undefined;
  for (const { shaped, at } of placed) {
    const { name, children } = shaped;
    if (shaped.isDefault && fallback !== undefined)
      report.problem(at, `both ${fallback} and ${name} are the default class`);
    if (shaped.isDefault) fallback = name;
    if (children.length === 0) continue;
    if (shaped.leaf !== undefined || shaped.inside !== undefined)
      report.problem(at, `the class ${name} has classes below it, so it can't have a leaf qdisc`);
    if (shaped.match.length > 0 || shaped.isDefault)
      report.problem(
        at,
        `the class ${name} has classes below it: packets go to those, so it can't be matched or be the default`,
      );
  }
}

/** The number of what stands inside of a class. */
function insideHandle({ leaf, inside, handle }: ShapingClass): number {
  return leaf?.handle ?? inside?.handle ?? handle;
}

function handleText(number: number): string {
  return `${number.toString(16)}:`;
}

/** Class ids, marks, and the numbers of what stands inside. */
function checkNumbers(leads: readonly Lead[], root: number, report: Reporter): void {
  const seen = new Map<string, string>();
  const taken = new Set([root, 0xffff]);
  for (const { shaped, way, at } of leads) {
    const { name, mark } = shaped;
    const handle = insideHandle(shaped);
    for (const [what, number] of [
      ["minor", way.at(-1)?.classid],
      ["mark", mark],
    ] as const) {
      const other = seen.get(`${what} ${number}`);
      if (other !== undefined)
        report.problem(at, `the classes ${other} and ${name} have the same ${what}`, {
          found: String(number),
        });
      seen.set(`${what} ${number}`, name);
    }
    if (shaped.leaf === undefined && shaped.inside === undefined) continue;
    if (taken.has(handle))
      report.problem(
        at,
        `the class ${name} can't have a leaf qdisc: its handle ${handleText(handle)} is taken`,
        { expected: "another number" },
      );
    taken.add(handle);
  }
}
