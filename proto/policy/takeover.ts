import { CHAIN_PREFIX } from "../base/names.ts";
import { HOOKS, TABLES } from "../manifest/manifest.ts";
import type { PolicyDocument } from "./document.ts";
import { type Field, listOf, oneOf, optional, parsed } from "./fields.ts";
import { HOOKS_OF } from "./firewall.ts";
import { type FieldsOf, type Reader, readFields, readList } from "./reader.ts";
import { positionOf, type SourceNode } from "./source-node.ts";
import { checkVariables, type Variables } from "./vars.ts";

type Takeover = PolicyDocument["takeover"][number];

const device: Field<string> = parsed("a device's name", (text) =>
  /^[^\s/]{1,64}$/.test(text) && !text.startsWith("-") ? text : undefined,
);
const tableField = oneOf(TABLES);

/** `filter/INPUT` */
const chain = parsed("a table and a chain of it, such as filter/INPUT", (text) => {
  const [tableText = "", name = "", ...rest] = text.split("/");
  const table = TABLES.find((known) => known === tableText);
  const isName = /^[A-Za-z0-9_.:][^\s"'\\]{0,27}$/.test(name) && !name.startsWith(CHAIN_PREFIX);
  return table !== undefined && isName && rest.length === 0 ? { table, name } : undefined;
});

/** `f2b-*` */
const exempt = parsed("a name of a chain, a set or a device, with * and ? for what may differ", (text) =>
  /^[^\s"'\\-][^\s"'\\]{0,30}$/.test(text) && /\w/.test(text) ? text : undefined,
);

const builtIn = parsed("a built-in chain of filter, such as filter/INPUT", (text) =>
  HOOKS_OF.filter.find((hook) => `filter/${hook}` === text),
);

/** What stands in nobody's way, or can't be taken, and what to do about it. */
const NOT_TAKEN = [
  ["set", "a set of others stays theirs", "the set under `external`, for rules to look into it"],
  ["ingress", "what others do with incoming packets of a device can't be taken over", "no ingress there"],
] as const;

const SHAPE = {
  qdisc: optional(device),
  "chain-policy": optional(builtIn),
  verdict: optional(oneOf(["accept", "drop"])),
  chain: optional(chain),
  except: optional(listOf(exempt, "a list of names of chains, sets and devices, such as [f2b-*]")),
  table: optional(tableField),
} as const;

/** `takeover`: what of others this policy claims, each by its name. */
export function readTakeover(reader: Reader, node: SourceNode | undefined, vars: Variables): Takeover[] {
  const items = node === undefined ? [] : (readList(reader, node, "a list of claims")?.items ?? []);
  return items.flatMap((item) => {
    const refused = NOT_TAKEN.find(([name]) => item.kind === "map" && item.fields.has(name));
    if (refused !== undefined) {
      const [found, message, expected] = refused;
      reader.problem(item, message, { found, expected });
      return [];
    }
    const fields = readFields(reader, item, SHAPE);
    return fields === undefined ? [] : (claimOf(reader, item, fields, vars) ?? []);
  });
}

type Written = FieldsOf<typeof SHAPE>;

function claimOf(reader: Reader, node: SourceNode, written: Written, vars: Variables): Takeover | undefined {
  const { qdisc, chain: named, except, table, verdict, "chain-policy": hook } = written;
  const kinds = [qdisc, named, table, hook].filter((value) => value !== undefined).length;
  const position = positionOf(node);
  if (kinds !== 1) {
    const expected = "one of qdisc, chain-policy with verdict, chain, table";
    reader.problem(node, "a claim names one thing", { found: `${kinds} things`, expected });
    return undefined;
  }
  if ((hook === undefined) !== (verdict === undefined)) {
    reader.problem(node, "chain-policy and verdict go together", {
      expected: "{ chain-policy: filter/INPUT, verdict: accept }",
    });
    return undefined;
  }
  if (except !== undefined && !HOOKS.some((known) => known === named?.name)) {
    reader.problem(node, "only of a built-in chain some rules can stay", {
      found: named === undefined ? "another claim" : named.name,
      expected: "{ chain: filter/INPUT, except: [f2b-*] }",
    });
    return undefined;
  }
  if (hook !== undefined && verdict !== undefined)
    return { what: "chain-policy", hook, verdict, ...position };
  if (named !== undefined)
    return {
      ...{ what: "chain", table: named.table, chain: named.name },
      ...(except !== undefined && { except }),
      ...position,
    };
  if (table !== undefined) return { what: "table", table, ...position };
  const text = node.kind === "map" ? node.fields.get("qdisc")?.value : undefined;
  if (qdisc === undefined || (text?.kind === "text" && !checkVariables(reader, text, vars))) return undefined;
  return { what: "qdisc", device: qdisc, ...position };
}
