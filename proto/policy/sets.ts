import type { Family } from "../base/names.ts";
import { parseDurationMs } from "../base/units.ts";
import { type AddressRange, formatAddress, parseRange, prefixOf } from "./addresses.ts";
import type { PolicySetDocument } from "./document.ts";
import { type Field, flag, integer, matching, oneOf, optional, parsed, wholeNumber } from "./fields.ts";
import { type Reader, readFields, readList, readMap, readValue } from "./reader.ts";
import { checkEntry } from "./set-entry.ts";
import { SET_TYPES, type SetType } from "./set-types.ts";
import { type MapNode, quoted, type SourceNode, type Spot } from "./source-node.ts";
import { didYouMean } from "./suggest.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

const TIMEOUT_MAX_S = 2_147_483;
const BITMAP_MAX = 65_536n;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;

const setType: Field<string> = parsed(`a type of ipset: ${[...SET_TYPES.keys()].join(" ")}`, (text) =>
  SET_TYPES.has(text) ? text : undefined,
);

const timeout: Field<string> = parsed(
  `seconds or a duration such as 10m, at most ${TIMEOUT_MAX_S} seconds`,
  (text) => {
    const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
    return ms === undefined || ms % 1000 !== 0 || ms / 1000 > TIMEOUT_MAX_S ? undefined : String(ms / 1000);
  },
);

const CREATE_OPTIONS = {
  family: optional(oneOf(["ipv4", "ipv6"])),
  range: "nested",
  netmask: optional(integer(1, 128)),
  bitmask: optional(matching("an address used as a mask", /^[0-9a-fA-F.:]+$/)),
  markmask: optional(matching("a mask such as 0xff", /^0x[0-9a-fA-F]{1,8}$/)),
  hashsize: optional(integer(64, 2 ** 31)),
  maxelem: optional(integer(1, 0xffffffff)),
  bucketsize: optional(integer(2, 14)),
  initval: optional(matching("a number such as 0x1a2b3c4d", /^0x[0-9a-fA-F]{1,8}$/)),
  size: optional(integer(1, 65_535)),
  timeout: optional(timeout),
  counters: optional(flag),
  comment: optional(flag),
  skbinfo: optional(flag),
  forceadd: optional(flag),
} as const;

/** `sets`: each with its type, its entries and ipset's own create options. */
export function readSets(
  reader: Reader,
  node: SourceNode | undefined,
  vars: Variables,
  externalSets: ReadonlyMap<string, string>,
): PolicySetDocument[] {
  const map = node && readMap(reader, node, "a map of sets");
  const types = new Map([...(map?.fields ?? [])].map(([name, { value }]) => [name, typeOf(value)]));
  const sets: PolicySetDocument[] = [];
  for (const [name, { key, value }] of map?.fields ?? []) {
    if (!NAME.test(name))
      reader.problem(key, `${quoted(name)} can't be a set's name`, {
        found: `${name.length} characters`,
        expected: "1 to 31 letters, digits, _ . and -, beginning with a letter or digit",
      });
    if (externalSets.has(name))
      reader.problem(key, `the set ${name} is external already`, { expected: "another name" });
    const set = readSet(reader, name, key, value, vars);
    if (set?.type === "list:set") checkMembers(reader, set, value, types, externalSets);
    if (set !== undefined) sets.push(set);
  }
  return sets;
}

function typeOf(node: SourceNode): string {
  const type = node.kind === "map" ? node.fields.get("type")?.value : undefined;
  return type?.kind === "text" ? type.text : "";
}

function readSet(
  reader: Reader,
  name: string,
  key: Spot,
  node: SourceNode,
  vars: Variables,
): PolicySetDocument | undefined {
  const fields = readFields(reader, node, { type: setType, entries: "nested", ...CREATE_OPTIONS });
  const type = SET_TYPES.get(typeOf(node));
  if (type === undefined || node.kind !== "map") return undefined;
  checkOptionsFit(reader, node, typeOf(node), type);
  const range = readRange(reader, node, typeOf(node));
  const options = fields === undefined ? [] : optionWords(fields, type, range?.text);
  const entries = readEntries(reader, node, typeOf(node), options, range?.limits, vars);
  return fields && { name, type: fields.type, options, entries, line: key.place.line };
}

function checkOptionsFit(reader: Reader, node: MapNode, name: string, type: SetType): void {
  const known = ["type", "entries", ...(type.hasFamily ? ["family"] : []), ...type.options];
  for (const [option, { key }] of node.fields)
    if (Object.hasOwn(CREATE_OPTIONS, option) && !known.includes(option))
      reader.problem(key, `${name} has no ${option}`, {
        found: option,
        expected: `one of ${known.join(", ")}`,
      });
}

function optionWords(fields: Record<string, unknown>, type: SetType, range: string | undefined): string[] {
  const words: string[] = [];
  if (type.hasFamily && fields.family !== undefined)
    words.push("family", fields.family === "ipv4" ? "inet" : "inet6");
  for (const option of type.options) {
    const value = option === "range" ? range : fields[option];
    if (value === true) words.push(option);
    else if (typeof value === "string" || typeof value === "number") words.push(option, String(value));
  }
  return words;
}

/** What a bitmap spans: it must be said, and at most 65,536 members. */
function readRange(
  reader: Reader,
  node: MapNode,
  type: string,
): { text: string; limits: Limits } | undefined {
  if (!type.startsWith("bitmap:")) return undefined;
  const isPort = type === "bitmap:port";
  const expected = isPort
    ? "two ports, such as 0-1023"
    : "an IPv4 network or range of at most 65536 addresses";
  const range = node.fields.get("range")?.value;
  if (range === undefined) {
    reader.problem(node, "range is missing", { expected: `range: ${expected}` });
    return undefined;
  }
  const field = parsed(expected, (text) => (isPort ? portLimits(text) : addressLimits(text)));
  const limits = readValue(reader, range, field);
  if (limits === undefined) return undefined;
  const [first, last] = [limits.first, limits.last].map((value) =>
    isPort ? String(value) : formatAddress(4, value),
  );
  return { text: `${first}-${last}`, limits };
}

type Limits = Pick<AddressRange, "first" | "last">;

function addressLimits(text: string): Limits | undefined {
  const range = parseRange(text);
  return range?.family === 4 && range.last - range.first < BITMAP_MAX && prefixOf(range) !== 32
    ? range
    : undefined;
}

function portLimits(text: string): Limits | undefined {
  const [first, last] = text.split("-").map((port) => wholeNumber(port, 0, 65_535));
  return first === undefined || last === undefined || first > last
    ? undefined
    : { first: BigInt(first), last: BigInt(last) };
}

function readEntries(
  reader: Reader,
  node: MapNode,
  type: string,
  options: readonly string[],
  limits: Limits | undefined,
  vars: Variables,
): PolicySetDocument["entries"] {
  const value = node.fields.get("entries")?.value;
  const list = value && readList(reader, value, "a list of entries");
  const parts = SET_TYPES.get(type)?.parts ?? [];
  const said = options[options.indexOf("family") + 1];
  const only: Family | undefined = options[0] !== "family" ? undefined : said === "inet" ? 4 : 6;
  const entries: PolicySetDocument["entries"] = [];
  for (const item of list?.items ?? []) {
    if (item.kind !== "text") {
      reader.problem(item, "this isn't an entry", { expected: `an entry of ${type}` });
      continue;
    }
    if (!checkVariables(reader, item, vars)) continue;
    for (const text of possibleTexts(item.text, vars)) {
      const checked = checkEntry(text, type, parts, options);
      const isWritten = text === item.text;
      if (!checked.ok) {
        const { message, expected, at } = checked;
        reader.problem(item, message, {
          place: isWritten ? item.placeAt(at) : item.place,
          found: text,
          expected,
        });
      } else if (only !== undefined && checked.family !== undefined && checked.family !== only)
        reader.problem(item, `this set holds IPv${only} alone`, {
          found: text,
          expected: `an IPv${only} entry`,
        });
      else if (limits !== undefined && !isWithin(checked.words[0] ?? "", limits, parts[0] === "port"))
        reader.problem(item, "this is outside the set's range", {
          found: text,
          expected: "an entry within range",
        });
    }
    entries.push({ text: item.text.trim(), line: item.place.line });
  }
  return entries;
}

function isWithin(element: string, limits: Limits, isPort: boolean): boolean {
  const [first = ""] = element.split(",");
  const found = isPort ? portLimits(first.includes("-") ? first : `${first}-${first}`) : parseRange(first);
  return found !== undefined && found.first >= limits.first && found.last <= limits.last;
}

/** A list:set holds sets: this policy's, live lists as `list:NAME`, external ones; never a list:set. */
function checkMembers(
  reader: Reader,
  set: PolicySetDocument,
  node: SourceNode,
  types: ReadonlyMap<string, string>,
  externalSets: ReadonlyMap<string, string>,
): void {
  const list = node.kind === "map" ? node.fields.get("entries")?.value : undefined;
  for (const item of list?.kind === "list" ? list.items : []) {
    if (item.kind !== "text") continue;
    const [name = ""] = item.text.trim().split(/\s/);
    if (name.startsWith("list:") || name.includes("$")) continue;
    const type = types.get(name) ?? externalSets.get(name);
    const known = [...types.keys(), ...externalSets.keys()].filter((other) => other !== set.name);
    if (type === undefined)
      reader.problem(item, `undefined set ${name}${didYouMean(name, known)}`, {
        found: name,
        expected: `one of ${known.join(", ")}, or list:NAME`,
      });
    else if (type === "list:set")
      reader.problem(item, "a list:set can't hold a list:set", {
        found: name,
        expected: "a set of another type",
      });
  }
}
