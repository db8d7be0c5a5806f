import type { ShapingClass } from "./document.ts";
import { type Field, flag, integer, optional, parsed, rate, size, withDefault } from "./fields.ts";
import { readQdisc } from "./qdisc.ts";
import { type Reader, readFields, readMap } from "./reader.ts";
import type { RuleNames } from "./rule-names.ts";
import { type Direction, readMatches } from "./shaping-match.ts";
import { type MapField, type SourceNode, shown } from "./source-node.ts";

/** What is unique within one device's tree. */
interface Tree {
  direction: Direction;
  names: RuleNames;
  /** minor → the class that asks for it by `id` */
  ids: Map<number, string>;
  /** how many classes have been given a number of ours */
  numbered: number;
  marks: Map<number, { name: string; minor: number }>;
  defaultClass: string | undefined;
}

const MINOR_MAX = 0xffff;

/** As in tc's `1:10`: hexadecimal digits. */
const minorField: Field<number> = parsed(
  "a class id's minor number as in tc, 1 to fffe in hexadecimal digits",
  (text) => {
    const minor = /^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : 0;
    return minor > 0 && minor < MINOR_MAX ? minor : undefined;
  },
);

const markField: Field<number> = parsed("a mark such as 80 or 0x50", (text) => {
  const mark = /^(0x[0-9a-f]{1,8}|[1-9]\d{0,9})$/i.test(text) ? Number(text) : 0;
  return mark > 0 && mark <= 0xffffffff ? mark : undefined;
});

const SHAPE = {
  rate,
  ceil: optional(rate),
  priority: optional(integer(0, 7)),
  mtu: optional(size),
  burst: optional(size),
  cburst: optional(size),
  quantum: optional(size),
  mark: optional(markField),
  id: optional(minorField),
  match: "nested",
  default: withDefault(flag, false),
  leaf: "nested",
  classes: "nested",
} as const;

/** `classes`: an HTB tree, with a number and a mark for each class. */
export function readClasses(
  reader: Reader,
  node: SourceNode,
  direction: Direction,
  names: RuleNames,
): ShapingClass[] {
  const tree: Tree = {
    direction,
    names,
    ids: new Map(),
    numbered: 0,
    marks: new Map(),
    defaultClass: undefined,
  };
  claimIds(reader, node, tree);
  return readLevel(reader, node, tree);
}

/** Numbers that are asked for are taken before any is given out. */
function claimIds(reader: Reader, node: SourceNode, tree: Tree): void {
  for (const [name, { value }] of node.kind === "map" ? node.fields : []) {
    if (value.kind !== "map") continue;
    const id = value.fields.get("id")?.value;
    const minor = id?.kind === "text" ? minorField.schema.safeParse(id.text).data : undefined;
    const other = minor === undefined ? undefined : tree.ids.get(minor);
    if (id !== undefined && minor !== undefined && other !== undefined)
      reader.problem(id, `the classes ${other} and ${name} have the same id`, {
        found: minor.toString(16),
        expected: "another number",
      });
    if (minor !== undefined) tree.ids.set(minor, name);
    const below = value.fields.get("classes")?.value;
    if (below !== undefined) claimIds(reader, below, tree);
  }
}

function readLevel(reader: Reader, node: SourceNode, tree: Tree): ShapingClass[] {
  const map = readMap(reader, node, "a map of classes");
  if (map?.fields.size === 0) reader.problem(map, "no class at all", { expected: "name: { rate: 1mbit }" });
  return [...(map?.fields ?? [])].flatMap(([name, field]) => readClass(reader, name, field, tree) ?? []);
}

function readClass(
  reader: Reader,
  name: string,
  { key, value: node }: MapField,
  tree: Tree,
): ShapingClass | undefined {
  if (!/^[a-z][a-z0-9_-]{0,30}$/i.test(name))
    reader.problem(key, `${shown(name)} can't be a class's name`, {
      found: name,
      expected: "1 to 31 letters, digits, _ and -, beginning with a letter",
    });
  const fields = readFields(reader, node, SHAPE);
  const isInner = node.kind === "map" && node.fields.has("classes");
  const minor = fields?.id ?? nextMinor(tree);
  const part = (field: string) => (node.kind === "map" ? node.fields.get(field)?.value : undefined);
  if (isInner) {
    for (const field of ["match", "default", "leaf"] as const) {
      const wrong = part(field);
      if (wrong !== undefined)
        reader.problem(wrong, `${name} has classes below it, so it can't have ${field}`, {
          expected: `${field} at one of those`,
        });
    }
  } else if (fields?.default) {
    if (tree.defaultClass !== undefined)
      reader.problem(part("default") ?? node, `${tree.defaultClass} is the default class already`, {
        found: name,
        expected: "one default class",
      });
    tree.defaultClass ??= name;
  }
  const mark = fields?.mark ?? minor;
  const sameMark = tree.marks.get(mark);
  // two that ask for one number have had their problem
  if (fields !== undefined && sameMark !== undefined && sameMark.minor !== minor)
    reader.problem(part("mark") ?? key, `the classes ${sameMark.name} and ${name} have the same mark`, {
      found: String(mark),
      expected: "a mark of its own for each class",
    });
  tree.marks.set(mark, { name, minor });
  const ceil = fields?.ceil ?? fields?.rate;
  if (fields !== undefined && ceil !== undefined && ceil < fields.rate)
    reader.problem(part("ceil") ?? node, `the ceil of ${name} is below its rate`, {
      found: `${ceil}bit`,
      expected: `at least ${fields.rate}bit`,
    });

  const match = isInner ? [] : readMatches(reader, part("match"), tree.direction, tree.names);
  const leafNode = isInner ? undefined : part("leaf");
  const leaf = leafNode && readQdisc(reader, leafNode);
  const below = part("classes");
  const children = below === undefined ? [] : readLevel(reader, below, tree);
  return (
    fields && {
      name,
      minor,
      rateBitPerSec: fields.rate,
      ceilBitPerSec: ceil ?? fields.rate,
      priority: fields.priority,
      mtuBytes: fields.mtu,
      burstBytes: fields.burst,
      cburstBytes: fields.cburst,
      quantumBytes: fields.quantum,
      mark,
      isDefault: fields.default && !isInner,
      match,
      leaf,
      children,
      line: key.place.line,
    }
  );
}

/** 1:10, 1:20 … 1:90, 1:100 …, as people number them; tc reads the digits as hexadecimal. */
function nextMinor(tree: Tree): number {
  let minor: number;
  do {
    tree.numbered += 1;
    minor = Number.parseInt(String(tree.numbered * 10), 16);
  } while (tree.ids.has(minor));
  return minor;
}
