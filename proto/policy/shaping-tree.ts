import { CLASSIFIERS, type ClassTree, type LeafQdisc } from "./document.ts";
import { integer, oneOf, optional } from "./fields.ts";
import { readHfscShare } from "./hfsc-class.ts";
import { readHtbShare } from "./htb-class.ts";
import { readPrioShare } from "./prio-class.ts";
import { readQdisc } from "./qdisc.ts";
import { type Reader, readFields } from "./reader.ts";
import { type DeviceScope, type Level, readClasses } from "./shaping-class.ts";
import { positionOf, type SourceNode } from "./source-node.ts";

const KINDS = ["htb", "hfsc", "prio"] as const;
const BANDS_MAX = 16;

/** What says of a tree which it is; the classes stand beside it. */
export const TREE_FIELDS = {
  kind: optional(oneOf(KINDS)),
  r2q: optional(integer(1, 100_000)),
} as const;
export const BY_FIELD = { by: optional(oneOf(CLASSIFIERS)) } as const;

export interface TreeHead {
  kind?: (typeof KINDS)[number] | undefined;
  r2q?: number | undefined;
  by?: ClassTree["by"];
}

/** `classes` of an htb (unless another kind is said), of an hfsc or of a prio. */
export function readClassTree(
  reader: Reader,
  node: SourceNode,
  classes: SourceNode,
  { kind = "htb", r2q, by }: TreeHead,
  { device, major }: Pick<Level, "device" | "major">,
): ClassTree | undefined {
  if (r2q !== undefined && kind !== "htb")
    reader.problem(node, `${kind} has no r2q`, { found: "r2q", expected: "r2q with htb alone" });
  const isBands = kind === "prio";
  const level: Level = { device, major, isBands, ids: new Map(), numbered: 0, defaultClass: undefined };
  const head = { ...(by && { by }), ...positionOf(node) };
  const tree = ((): ClassTree => {
    switch (kind) {
      case "htb":
        return {
          kind,
          ...head,
          ...(r2q && { r2q }),
          classes: readClasses(reader, classes, level, readHtbShare),
        };
      case "hfsc":
        return { kind, ...head, classes: readClasses(reader, classes, level, readHfscShare) };
      case "prio":
        return { kind, ...head, classes: readClasses(reader, classes, level, readPrioShare) };
    }
  })();
  const { length } = tree.classes;
  if (isBands && classes.kind === "map" && (classes.fields.size < 2 || classes.fields.size > BANDS_MAX))
    reader.problem(classes, "a prio has a class for each of its bands", {
      found: `${classes.fields.size}`,
      expected: `2 to ${BANDS_MAX} classes`,
    });
  return length === 0 ? undefined : tree;
}

/** `leaf`: a qdisc, or a tree of classes of its own. */
export function readInside(
  reader: Reader,
  node: SourceNode,
  at: { device: DeviceScope; major: number },
): { leaf?: LeafQdisc | undefined; inside?: ClassTree | undefined } {
  if (node.kind !== "map" || !node.fields.has("classes")) return { leaf: readQdisc(reader, node) };
  const fields = readFields(reader, node, { ...TREE_FIELDS, classes: "nested" });
  if (fields?.classes === undefined) return {};
  return { inside: readClassTree(reader, node, fields.classes, fields, at) };
}
