import { CHAIN_PREFIX, SET_PREFIX } from "../base/names.ts";
import { TABLES, type TableName } from "../manifest/manifest.ts";
import type { PolicyDocument } from "./document.ts";
import { type Field, parsed } from "./fields.ts";
import { type Reader, readFields, readList, readMap, readValue } from "./reader.ts";
import { SET_TYPES } from "./set-types.ts";
import { positionOf, type SourceNode } from "./source-node.ts";

type External = PolicyDocument["external"];

const chainName: Field<string> = parsed(
  `a chain of another tool (1 to 28 characters, not ${CHAIN_PREFIX}…)`,
  (text) =>
    /^[A-Za-z0-9_.:][^\s"'\\]{0,27}$/.test(text) && !text.startsWith(CHAIN_PREFIX) ? text : undefined,
);

const setType: Field<string> = parsed(`the set's type, one of ${[...SET_TYPES.keys()].join(" ")}`, (text) =>
  SET_TYPES.has(text) ? text : undefined,
);

/** `external`: what other tools keep and this policy's rules refer to. */
export function readExternal(reader: Reader, node: SourceNode | undefined): External {
  const fields = node && readFields(reader, node, { chains: "nested", sets: "nested" });
  return { chains: readChains(reader, fields?.chains), sets: readSets(reader, fields?.sets) };
}

function readChains(reader: Reader, node: SourceNode | undefined): External["chains"] {
  const tables = node && readMap(reader, node, `a map of tables: ${TABLES.join(", ")}`);
  const chains: External["chains"] = [];
  for (const [name, { key, value }] of tables?.fields ?? []) {
    const table = TABLES.find((known): known is TableName => known === name);
    if (table === undefined)
      reader.problem(key, `unknown table ${name}`, { found: name, expected: `one of ${TABLES.join(", ")}` });
    for (const item of readList(reader, value, "a list of chains")?.items ?? []) {
      const chain = readValue(reader, item, chainName);
      if (chain !== undefined && table !== undefined)
        chains.push({ table, name: chain, ...positionOf(item) });
    }
  }
  return chains;
}

function readSets(reader: Reader, node: SourceNode | undefined): External["sets"] {
  const map = node && readMap(reader, node, "a map of set names to their types");
  const sets: External["sets"] = [];
  for (const [name, { key, value }] of map?.fields ?? []) {
    const type = readValue(reader, value, setType);
    if (!/^[^\s"'\\:$]{1,31}$/.test(name) || name.startsWith(SET_PREFIX))
      reader.problem(key, "this can't be the name of an external set", {
        found: name,
        expected: `1 to 31 characters, not ${SET_PREFIX}…`,
      });
    else if (type !== undefined) sets.push({ name, type, ...positionOf(key) });
  }
  return sets;
}
