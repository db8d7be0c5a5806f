import type { HtbClass, PolicyShaping, ShapingTree } from "./document.ts";
import { optional, rate, size } from "./fields.ts";
import { readQdisc, readTbf } from "./qdisc.ts";
import { type FieldsOf, type Reader, readFields, readMap } from "./reader.ts";
import type { RuleNames } from "./rule-names.ts";
import type { DeviceScope } from "./shaping-class.ts";
import type { Matched } from "./shaping-match.ts";
import { BY_FIELD, readClassTree, TREE_FIELDS } from "./shaping-tree.ts";
import { type MapField, positionOf, type SourceNode, shown } from "./source-node.ts";
import { didYouMean } from "./suggest.ts";
import { variablesIn } from "./variables.ts";
import { possibleTexts } from "./vars.ts";

const TREE = {
  ...TREE_FIELDS,
  ...BY_FIELD,
  classes: "nested",
  tbf: "nested",
  qdisc: "nested",
} as const;

/** 1:10 */
const FIRST_MINOR = 0x10;

/** `shaping`: what leaves a device and what comes in, by device. */
export function readShaping(reader: Reader, node: SourceNode | undefined, names: RuleNames): PolicyShaping[] {
  const shaping: PolicyShaping[] = [];
  for (const [device, field] of (node && readMap(reader, node, "a map of devices"))?.fields ?? []) {
    checkDevice(reader, device, field, names);
    const shaped = readDevice(reader, device, field, names);
    if (shaped !== undefined) shaping.push(shaped);
  }
  return shaping;
}

function checkDevice(reader: Reader, device: string, { key }: MapField, { vars }: RuleNames): void {
  const unknown = variablesIn(device).find(({ name }) => !vars.has(name));
  if (unknown !== undefined) {
    reader.problem(key, `undefined variable $${unknown.name}${didYouMean(unknown.name, vars.keys())}`, {
      found: device,
      expected: "a variable under vars",
    });
    return;
  }
  const wrong = possibleTexts(device, vars).find((text) => !/^(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,15}$/.test(text));
  if (wrong !== undefined)
    reader.problem(key, `${shown(wrong)} can't be a device's name`, {
      found: wrong,
      expected: "1 to 15 letters, digits, _ . @ and -",
    });
}

function readDevice(
  reader: Reader,
  device: string,
  { key, value: node }: MapField,
  names: RuleNames,
): PolicyShaping | undefined {
  const fields = readFields(reader, node, { ...TREE, ingress: "nested" });
  if (fields === undefined) return undefined;
  const { ingress, ...tree } = fields;
  const isEmpty = Object.values(tree).every((value) => value === undefined);
  if (isEmpty && ingress === undefined)
    reader.problem(node, `nothing is said about ${device}`, {
      found: "nothing",
      expected: "classes, tbf, qdisc or ingress",
    });
  const egress = isEmpty ? undefined : readTree(reader, node, tree, "egress", names);
  const incoming = ingress && readIngress(reader, ingress, names);
  return { device, ...(egress && { egress }), ...(incoming && { ingress: incoming }), ...positionOf(key) };
}

function readTree(
  reader: Reader,
  node: SourceNode,
  { classes, tbf, qdisc, ...head }: FieldsOf<typeof TREE>,
  direction: Matched["direction"],
  names: RuleNames,
): ShapingTree | undefined {
  const said = Object.entries({ classes, tbf, qdisc }).flatMap(([name, part]) => (part ? [name] : []));
  const beside = Object.entries(head).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (said.length !== 1 || (beside.length > 0 && classes === undefined)) {
    const found = said.join(" and ") || (beside.length === 0 ? "nothing" : `${beside.join(" and ")} alone`);
    const expected = "classes (with kind, by or handle, if you like), tbf or qdisc";
    reader.problem(node, "a device has one tree of classes, or one qdisc", { found, expected });
    return undefined;
  }
  if (classes !== undefined) {
    const { by } = head;
    if (direction === "ingress" && (by === "fw" || by === "classify"))
      reader.problem(node, `what comes in has met no rule yet that could lead to a class by ${by}`, {
        found: `by: ${by}`,
        expected: "by: u32 or by: flower",
      });
    const device: DeviceScope = {
      matched: { direction, by },
      names,
      marks: new Map(),
      handles: new Map(),
    };
    return readClassTree(reader, node, classes, head, { device, around: undefined });
  }
  const single = tbf !== undefined ? readTbf(reader, tbf) : qdisc && readQdisc(reader, qdisc);
  return single && { kind: "single", qdisc: single, ...positionOf(node) };
}

/** `{ rate: 5mbit }` is a tree of one class that takes everything. */
function readIngress(reader: Reader, node: SourceNode, names: RuleNames): ShapingTree | undefined {
  if (node.kind !== "map" || !node.fields.has("rate")) {
    const fields = readFields(reader, node, { rate: "nested", ...TREE });
    return fields && readTree(reader, node, fields, "ingress", names);
  }
  const fields = readFields(reader, node, { rate, burst: optional(size) });
  if (fields === undefined) return undefined;
  const all: HtbClass = {
    name: "all",
    minor: FIRST_MINOR,
    handle: FIRST_MINOR,
    rateBitPerSec: fields.rate,
    ceilBitPerSec: fields.rate,
    ...(fields.burst && { burstBytes: fields.burst }),
    mark: FIRST_MINOR,
    isDefault: true,
    match: [],
    filters: [],
    children: [],
    ...positionOf(node),
  };
  return { kind: "htb", classes: [all], ...positionOf(node) };
}
