import { handleField, partOf } from "./class-fields.ts";
import { CLASSIFIERS, type ClassTree, type LeafQdisc } from "./document.ts";
import { integer, listOf, oneOf, optional } from "./fields.ts";
import { readHfscShare } from "./hfsc-class.ts";
import { readHtbShare } from "./htb-class.ts";
import { readPrioShare } from "./prio-class.ts";
import { readQdisc } from "./qdisc.ts";
import { type FieldsOf, type Reader, readFields } from "./reader.ts";
import { type Level, readClasses } from "./shaping-class.ts";
import { positionOf, type SourceNode } from "./source-node.ts";

const KINDS = ["htb", "hfsc", "prio"] as const;
const BANDS_MAX = 16;

/** What says of a tree which it is; the classes stand beside it. */
export const TREE_FIELDS = {
  kind: optional(oneOf(KINDS)),
  handle: optional(handleField),
  r2q: optional(integer(1, 100_000)),
  direct_qlen: optional(integer(1, 10_000_000)),
  priomap: optional(
    listOf(integer(0, BANDS_MAX - 1), "a list of bands from 0, one for each of 16 priorities"),
  ),
} as const;
/** What only one kind has. */
const OF_KIND = { r2q: "htb", direct_qlen: "htb", priomap: "prio" } as const;
const PRIORITIES = 16;
export const BY_FIELD = { by: optional(oneOf(CLASSIFIERS)) } as const;

export type TreeHead = FieldsOf<typeof TREE_FIELDS> & { by?: ClassTree["by"] };

/** `classes` of an htb (unless another kind is said), of an hfsc or of a prio. */
export function readClassTree(
  reader: Reader,
  node: SourceNode,
  classes: SourceNode,
  said: TreeHead,
  { device, around }: Pick<Level, "device" | "around">,
): ClassTree | undefined {
  const { kind = "htb", r2q, direct_qlen: directQlen, priomap, by, handle } = said;
  for (const field of ["r2q", "direct_qlen", "priomap"] as const)
    if (said[field] !== undefined && kind !== OF_KIND[field])
      reader.problem(partOf(node, field) ?? node, `${kind} has no ${field}`, {
        found: field,
        expected: `${field} with ${OF_KIND[field]} alone`,
      });
  const isBands = kind === "prio";
  const level: Level = { device, around, isBands, ids: new Map(), numbered: 0, defaultClass: undefined };
  const head = { ...(by && { by }), ...(handle && { handle }), ...positionOf(node) };
  const tree = ((): ClassTree => {
    switch (kind) {
      case "htb":
        return {
          kind,
          ...head,
          ...(r2q && { r2q }),
          ...(directQlen && { directQlen }),
          classes: readClasses(reader, classes, level, readHtbShare),
        };
      case "hfsc":
        return { kind, ...head, classes: readClasses(reader, classes, level, readHfscShare) };
      case "prio":
        return {
          kind,
          ...head,
          ...(priomap && { priomap }),
          classes: readClasses(reader, classes, level, readPrioShare),
        };
    }
  })();
  const { length } = tree.classes;
  if (isBands && classes.kind === "map" && (classes.fields.size < 2 || classes.fields.size > BANDS_MAX))
    reader.problem(classes, "a prio has a class for each of its bands", {
      found: `${classes.fields.size}`,
      expected: `2 to ${BANDS_MAX} classes`,
    });
  if (isBands && priomap !== undefined)
    checkPriomap(reader, partOf(node, "priomap") ?? node, priomap, tree.classes);
  return length === 0 ? undefined : tree;
}

function checkPriomap(
  reader: Reader,
  node: SourceNode,
  priomap: readonly number[],
  classes: ClassTree["classes"],
): void {
  const [fallback] = classes.filter(({ isDefault }) => isDefault);
  if (fallback !== undefined)
    reader.problem(node, `priomap and a default class say two things of the same packets`, {
      found: `priomap, and ${fallback.name} is the default`,
      expected: "one of the two",
    });
  const tooHigh = priomap.find((band) => band >= classes.length);
  if (priomap.length !== PRIORITIES || (tooHigh !== undefined && classes.length > 0))
    reader.problem(node, "a priomap has a band for each of the 16 priorities", {
      found: tooHigh === undefined ? `${priomap.length} bands` : String(tooHigh),
      expected: `16 numbers from 0 to ${classes.length - 1}`,
    });
}

/** `leaf`: a qdisc, or a tree of classes of its own. */
export function readInside(
  reader: Reader,
  node: SourceNode,
  at: Pick<Level, "device" | "around">,
): { leaf?: LeafQdisc | undefined; inside?: ClassTree | undefined } {
  if (node.kind !== "map" || !node.fields.has("classes")) return { leaf: readQdisc(reader, node) };
  const fields = readFields(reader, node, { ...TREE_FIELDS, classes: "nested" });
  if (fields?.classes === undefined) return {};
  return { inside: readClassTree(reader, node, fields.classes, fields, at) };
}
