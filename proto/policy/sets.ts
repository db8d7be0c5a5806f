import type { PolicySetDocument } from "./document.ts";
import { type Field, parsed } from "./fields.ts";
import { type Reader, readFields, readMap } from "./reader.ts";
import { readEntries } from "./set-entries.ts";
import { CREATE_OPTIONS, checkOptionsFit, optionWords, readRange } from "./set-options.ts";
import { SET_TYPES } from "./set-types.ts";
import { positionOf, type SourceNode, type Spot, shown } from "./source-node.ts";
import { didYouMean, oneOfNames } from "./suggest.ts";
import type { Variables } from "./vars.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;

const setType: Field<string> = parsed(`a type of ipset: ${[...SET_TYPES.keys()].join(" ")}`, (text) =>
  SET_TYPES.has(text) ? text : undefined,
);

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
      reader.problem(key, `${shown(name)} can't be a set's name`, {
        found: `${name.length} characters`,
        expected: "1 to 31 letters, digits, _ . and -, beginning with a letter or digit",
      });
    if (externalSets.has(name))
      reader.problem(key, `the set ${name} is external already`, { expected: "another name" });
    const set = readSet(reader, name, key, value, vars);
    if (set?.type === "list:set") checkMembers(reader, value, types, externalSets);
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
  const entries = readEntries(reader, node, typeOf(node), range?.limits, vars);
  const options = fields === undefined ? [] : optionWords(fields, type, range?.text);
  return fields && { name, type: fields.type, options, entries, ...positionOf(key) };
}

/** A list:set holds sets: this policy's, live lists as `list:NAME`, external ones; never a list:set. */
function checkMembers(
  reader: Reader,
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
    if (type === undefined)
      reader.problem(item, `undefined set ${name}${didYouMean(name, types.keys())}`, {
        found: name,
        expected: `${oneOfNames(types.keys())}, an external set, or list:NAME`,
      });
    else if (type === "list:set")
      reader.problem(item, "a list:set can't hold a list:set", {
        found: name,
        expected: "a set of another type",
      });
  }
}
