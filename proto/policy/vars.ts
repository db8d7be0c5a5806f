import type { PolicyVar } from "./document.ts";
import { type Field, lineOfText, parsed } from "./fields.ts";
import { type Reader, readFields, readMap, readValue } from "./reader.ts";
import { type SourceNode, shown, type TextNode } from "./source-node.ts";
import { didYouMean, oneOfNames } from "./suggest.ts";
import { hasVariable, VARIABLE, VARIABLE_NAME, variablesIn } from "./variables.ts";

export type Variables = ReadonlyMap<string, PolicyVar>;

/** A value becomes one word of a rule: it must not be empty, an option, or hold variables of its own. */
const variableValue: Field<string> = parsed("a text that doesn't begin with a dash and holds no $", (text) =>
  text === "" || text.startsWith("-") || text.includes("$") || !lineOfText.schema.safeParse(text).success
    ? undefined
    : text,
);

/** `vars`: a value, or a map of the value and what it is on some servers. */
export function readVars(reader: Reader, node: SourceNode | undefined): Variables {
  const vars = new Map<string, PolicyVar>();
  const map = node && readMap(reader, node, "a map of variables");
  for (const [name, { key, value }] of map?.fields ?? []) {
    if (!VARIABLE_NAME.test(name))
      reader.problem(key, `${shown(name)} can't be a variable's name`, {
        found: name,
        expected: "letters, digits, _ and -, beginning with a letter or _",
      });
    const line = key.place.line;
    // a variable whose value is wrong is still a variable: its uses are no second problem
    const fallback = { value: "", servers: {}, labels: {}, line };
    vars.set(name, readVar(reader, value, line) ?? fallback);
  }
  return vars;
}

function readVar(reader: Reader, node: SourceNode, line: number): PolicyVar | undefined {
  if (node.kind !== "map") {
    const value = readValue(reader, node, variableValue);
    return value === undefined ? undefined : { value, servers: {}, labels: {}, line };
  }
  const fields = readFields(reader, node, { value: variableValue, servers: "nested", labels: "nested" });
  const servers = readOverrides(reader, fields?.servers, /^[a-z0-9-]{1,63}$/, "a server's name");
  const labels = readOverrides(reader, fields?.labels, /^[^=\s]+=[^\s]*$/, "a label as key=value");
  return fields && { value: fields.value, servers, labels, line };
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

const TEXTS_MAX = 100;

/**
 * The text with every value that each of its variables can have, the others at their first; one text where it has none.
 * Bounded: compile looks at what a server gets in the end.
 */
export function possibleTexts(text: string, vars: Variables): string[] {
  if (!hasVariable(text)) return [fill(text, new Map())];
  const names = [...new Set(variablesIn(text).map(({ name }) => name))];
  const first = new Map(names.map((name) => [name, vars.get(name)?.value ?? ""]));
  // an empty value, or none, has had its problem already
  if ([...first.values()].includes("")) return [];
  const texts = names.flatMap((name) => {
    const known = vars.get(name);
    const values = known
      ? [known.value, ...Object.values(known.servers), ...Object.values(known.labels)]
      : [];
    return values.slice(0, TEXTS_MAX).map((value) => fill(text, new Map(first).set(name, value)));
  });
  return [...new Set(texts)].slice(0, TEXTS_MAX);
}

function fill(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(VARIABLE, (_, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain;
    return name === undefined ? "$" : (values.get(name) ?? "");
  });
}
