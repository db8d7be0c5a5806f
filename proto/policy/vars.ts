import type { PolicyVar, Position } from "./document.ts";
import { type Field, lineOfText, parsed } from "./fields.ts";
import { type Reader, readFields, readMap, readValue } from "./reader.ts";
import { positionOf, type SourceNode, shown, type TextNode } from "./source-node.ts";
import { didYouMean, oneOfNames } from "./suggest.ts";
import { VARIABLE, VARIABLE_NAME, variablesIn } from "./variables.ts";

export interface KnownVariable {
  document: PolicyVar;
  /** what it can be, the first of them unless a server or a label says otherwise; empty where it had a problem */
  values: string[];
}
export type Variables = ReadonlyMap<string, KnownVariable>;

/** More of them are left to compile, so that a file's cost stays near its size. */
const VALUES_MAX = 20;

/** A value becomes one word of a rule: it must not be empty, an option, or hold variables of its own. */
const variableValue: Field<string> = parsed("a text that doesn't begin with a dash and holds no $", (text) =>
  text === "" || text.startsWith("-") || text.includes("$") || !lineOfText.schema.safeParse(text).success
    ? undefined
    : text,
);

/** `vars`: a value, or a map of the value and what it is on some servers. */
export function readVars(reader: Reader, node: SourceNode | undefined): Variables {
  const vars = new Map<string, KnownVariable>();
  const map = node && readMap(reader, node, "a map of variables");
  for (const [name, { key, value }] of map?.fields ?? []) {
    if (!VARIABLE_NAME.test(name))
      reader.problem(key, `${shown(name)} can't be a variable's name`, {
        found: name,
        expected: "letters, digits, _ and -, beginning with a letter or _",
      });
    const position = positionOf(key);
    const document = readVar(reader, value, position);
    // a variable whose value is wrong is still a variable: its uses are no second problem
    vars.set(name, {
      document: document ?? { value: "", servers: {}, labels: {}, ...position },
      values: document === undefined ? [] : valuesOf(document),
    });
  }
  return vars;
}

function valuesOf({ value, servers, labels }: PolicyVar): string[] {
  return [...new Set([value, ...Object.values(servers), ...Object.values(labels)])].slice(0, VALUES_MAX);
}

function readVar(reader: Reader, node: SourceNode, position: Position): PolicyVar | undefined {
  if (node.kind !== "map") {
    const value = readValue(reader, node, variableValue);
    return value === undefined ? undefined : { value, servers: {}, labels: {}, ...position };
  }
  const fields = readFields(reader, node, { value: variableValue, servers: "nested", labels: "nested" });
  const servers = readOverrides(reader, fields?.servers, /^[a-z0-9-]{1,63}$/, "a server's name");
  const labels = readOverrides(reader, fields?.labels, /^[^=\s]+=[^\s]*$/, "a label as key=value");
  return fields && { value: fields.value, servers, labels, ...position };
}

function readOverrides(
  reader: Reader,
  node: SourceNode | undefined,
  name: RegExp,
  expected: string,
): Record<string, string> {
  const map = node && readMap(reader, node, `a map of ${expected} to a value`);
  const values: [string, string][] = [];
  for (const [text, { key, value }] of map?.fields ?? []) {
    if (!name.test(text)) reader.problem(key, `this isn't ${expected}`, { found: text, expected });
    const read = readValue(reader, value, variableValue);
    if (read !== undefined) values.push([text, read]);
  }
  return Object.fromEntries(values);
}

/** Reports the variables that aren't under `vars`. `part` is a piece of the node's text, `at` where it begins there. */
export function checkVariables(
  reader: Reader,
  node: TextNode,
  vars: Variables,
  part = node.text,
  at = 0,
): boolean {
  const unknown = variablesIn(part).filter(({ name }) => !vars.has(name));
  for (const { name, at: inPart } of unknown)
    reader.problem(node, `undefined variable $${name}${didYouMean(name, vars.keys())}`, {
      // a quote before it moves it on by one
      place: node.placeAt(Math.max(node.text.indexOf("$", at + inPart), at)),
      found: `$${name}`,
      expected: vars.size === 0 ? "a variable under vars: there is none" : oneOfNames(vars.keys()),
    });
  return unknown.length === 0;
}

/** The text with the values that each of its variables can have, the others at their first; one where it has none. */
export function possibleTexts(text: string, vars: Variables): string[] {
  const names = new Set(variablesIn(text).map(({ name }) => name));
  const known = [...names].map((name) => ({ name, values: vars.get(name)?.values ?? [] }));
  // what has no value has had its problem already
  if (known.some(({ values }) => values.length === 0)) return [];
  const first = new Map(known.map(({ name, values: [value = ""] }) => [name, value]));
  const others = known.flatMap(({ name, values }) => values.slice(1).map((value) => ({ name, value })));
  const filled = others
    .slice(0, VALUES_MAX)
    .map(({ name, value }) => fill(text, new Map(first).set(name, value)));
  return [...new Set([fill(text, first), ...filled])];
}

function fill(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(VARIABLE, (_, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain;
    return name === undefined ? "$" : (values.get(name) ?? "");
  });
}
