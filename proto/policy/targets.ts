import type { PolicyDocument } from "./document.ts";
import { type Field, listOf, parsed } from "./fields.ts";
import { type Reader, readFields, readMap, readValue } from "./reader.ts";
import type { SourceNode } from "./source-node.ts";

const serverName: Field<string> = parsed('a server\'s name, or "*" for all', (text) =>
  text === "*" || /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text) ? text : undefined,
);

const labelValue: Field<string> = parsed("a label's value", (text) =>
  text.length <= 255 && !/\p{Cc}/u.test(text) ? text : undefined,
);

/** `targets`: servers by name, or every server that has all of these labels. */
export function readTargets(reader: Reader, node: SourceNode): PolicyDocument["targets"] | undefined {
  const fields = readFields(reader, node, { servers: "nested", labels: "nested" });
  if (fields === undefined) return undefined;
  const { servers, labels } = fields;
  const expected = "either servers: [name, …] or labels: {key: value, …}";
  if (servers !== undefined && labels !== undefined) {
    reader.problem(node, "servers and labels can't be told both", { found: "both", expected });
    return undefined;
  }
  if (servers !== undefined) {
    const names = readValue(reader, servers, listOf(serverName, "a list of server names"));
    if (names?.length === 0)
      reader.problem(servers, "this targets no server", { expected: 'names, or ["*"]' });
    return names && { servers: names, labels: {} };
  }
  if (labels !== undefined) return { servers: [], labels: readLabels(reader, labels) };
  reader.problem(node, "this targets no server", { expected });
  return undefined;
}

function readLabels(reader: Reader, node: SourceNode): Record<string, string> {
  const map = readMap(reader, node, "a map of labels");
  if (map?.fields.size === 0)
    reader.problem(node, "this targets every server, or none", { expected: 'labels, or servers: ["*"]' });
  const labels: [string, string][] = [];
  for (const [name, { key, value }] of map?.fields ?? []) {
    if (name.length > 63 || /[\s=]/.test(name))
      reader.problem(key, "this isn't a label's name", {
        found: name,
        expected: "at most 63 characters without blanks and =",
      });
    const text = readValue(reader, value, labelValue);
    if (text !== undefined) labels.push([name, text]);
  }
  return Object.fromEntries(labels);
}
