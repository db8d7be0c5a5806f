import { minorField, partOf, type ReadShare } from "./class-fields.ts";
import { readFilters } from "./class-filter.ts";
import type { ClassOf } from "./document.ts";
import { type Reader, readMap } from "./reader.ts";
import type { RuleNames } from "./rule-names.ts";
import { type Matched, readMatches } from "./shaping-match.ts";
import { readInside } from "./shaping-tree.ts";
import { type MapField, positionOf, type SourceNode, shown } from "./source-node.ts";

/** What is unique among all classes of a device's direction, those inside of classes included. */
export interface DeviceScope {
  matched: Matched;
  names: RuleNames;
  marks: Map<number, { name: string; handle: number }>;
  handles: Map<number, { name: string; level: Level }>;
}

/** The classes of one qdisc. */
export interface Level {
  device: DeviceScope;
  /** the number of the class around; undefined on the device itself */
  around: number | undefined;
  /** minor → the class that asks for it by `id` */
  ids: Map<number, string>;
  /** how many classes have been given a number of ours */
  numbered: number;
  /** bands of a prio are numbered 1, 2, 3 … and can't be asked for */
  isBands: boolean;
  defaultClass: string | undefined;
}

/** `classes`, with a number and a mark for each. */
export function readClasses<Own>(
  reader: Reader,
  node: SourceNode,
  level: Level,
  share: ReadShare<Own>,
): ClassOf<Own>[] {
  if (!level.isBands) claimIds(reader, node, level);
  return readLevel(reader, node, level, share);
}

/** Numbers that are asked for are taken before any is given out. */
function claimIds(reader: Reader, node: SourceNode, level: Level): void {
  for (const [name, { value }] of node.kind === "map" ? node.fields : []) {
    if (value.kind !== "map") continue;
    const id = value.fields.get("id")?.value;
    const minor = id?.kind === "text" ? minorField.schema.safeParse(id.text).data : undefined;
    const other = minor === undefined ? undefined : level.ids.get(minor);
    if (id !== undefined && minor !== undefined && other !== undefined)
      reader.problem(id, `the classes ${other} and ${name} have the same id`, {
        found: minor.toString(16),
        expected: "another number",
      });
    if (minor !== undefined) level.ids.set(minor, name);
    const below = value.fields.get("classes")?.value;
    if (below !== undefined) claimIds(reader, below, level);
  }
}

function readLevel<Own>(
  reader: Reader,
  node: SourceNode,
  level: Level,
  share: ReadShare<Own>,
): ClassOf<Own>[] {
  const map = readMap(reader, node, "a map of classes");
  if (map?.fields.size === 0) reader.problem(map, "no class at all", { expected: "name: { rate: 1mbit }" });
  return [...(map?.fields ?? [])].flatMap(
    ([name, field]) => readClass(reader, name, field, level, share) ?? [],
  );
}

function readClass<Own>(
  reader: Reader,
  name: string,
  { key, value: node }: MapField,
  level: Level,
  share: ReadShare<Own>,
): ClassOf<Own> | undefined {
  if (!/^[a-z][a-z0-9_-]{0,30}$/i.test(name))
    reader.problem(key, `${shown(name)} can't be a class's name`, {
      found: name,
      expected: "1 to 31 letters, digits, _ and -, beginning with a letter",
    });
  const read = share(reader, node, name);
  const fields = read?.fields;
  const below = level.isBands ? undefined : partOf(node, "classes");
  if (below !== undefined) refuseOnInner(reader, name, node);
  else if (fields?.default) takeDefault(reader, name, node, level);
  const minor = fields?.id ?? nextMinor(level);
  const handle = handleOf(reader, key, name, minor, level);
  const mark = fields?.mark ?? handle;
  if (fields !== undefined) takeMark(reader, partOf(node, "mark") ?? key, { name, mark, handle }, level);

  const { matched, names } = level.device;
  const match = below === undefined ? readMatches(reader, partOf(node, "match"), matched, names) : [];
  const filters = readFilters(reader, partOf(node, "filters"), matched, names.vars);
  const leafNode = below === undefined ? partOf(node, "leaf") : undefined;
  const inside = leafNode && readInside(reader, leafNode, { device: level.device, around: handle });
  const children = below === undefined ? [] : readLevel(reader, below, level, share);
  return (
    read && {
      ...read.own,
      name,
      minor,
      handle,
      mark,
      isDefault: read.fields.default && below === undefined,
      match,
      filters,
      ...inside,
      children,
      ...positionOf(key),
    }
  );
}

function refuseOnInner(reader: Reader, name: string, node: SourceNode): void {
  for (const field of ["match", "default", "leaf"] as const) {
    const wrong = partOf(node, field);
    if (wrong !== undefined)
      reader.problem(wrong, `${name} has classes below it, so it can't have ${field}`, {
        expected: `${field} at one of those`,
      });
  }
}

function takeDefault(reader: Reader, name: string, node: SourceNode, level: Level): void {
  if (level.defaultClass !== undefined)
    reader.problem(partOf(node, "default") ?? node, `${level.defaultClass} is the default class already`, {
      found: name,
      expected: "one default class",
    });
  level.defaultClass ??= name;
}

function takeMark(
  reader: Reader,
  at: SourceNode | MapField["key"],
  { name, mark, handle }: { name: string; mark: number; handle: number },
  { device }: Level,
): void {
  const same = device.marks.get(mark);
  // two that ask for one number have had their problem
  if (same !== undefined && same.handle !== handle)
    reader.problem(at, `the classes ${same.name} and ${name} have the same mark`, {
      found: String(mark),
      expected: "a mark of its own for each class",
    });
  device.marks.set(mark, { name, handle });
}

/**
 * The number of the qdisc inside a class, which is unique on a device: `10:` in 1:10, `2010:` in 20:10, and `10:` in the
 * first band of a prio, since `1:` is the root.
 */
function handleOf(reader: Reader, key: MapField["key"], name: string, minor: number, level: Level): number {
  const own = level.isBands ? minor << 4 : minor;
  const { around } = level;
  const handle = around === undefined ? own : (around << 8) | own;
  const other = level.device.handles.get(handle);
  const isTooLarge = around !== undefined && (around > 0xff || own > 0xff);
  // in one qdisc two that ask for one number have had their problem
  if (isTooLarge || (other !== undefined && other.level !== level))
    reader.problem(
      key,
      isTooLarge
        ? `${name} stands inside of a class, and one of the two has too large a number`
        : `the classes ${other?.name} and ${name} come to the same number`,
      { found: handle.toString(16), expected: "another id, up to ff" },
    );
  level.device.handles.set(handle, { name, level });
  return handle;
}

/** 1:10, 1:20 … 1:90, 1:100 …, as people number them; tc reads the digits as hexadecimal. */
function nextMinor(level: Level): number {
  let minor: number;
  do {
    level.numbered += 1;
    minor = level.isBands ? level.numbered : Number.parseInt(String(level.numbered * 10), 16);
  } while (level.ids.has(minor));
  return minor;
}
