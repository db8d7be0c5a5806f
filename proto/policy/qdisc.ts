import { handleField } from "./class-fields.ts";
import type { LeafQdisc } from "./document.ts";
import { duration, type Field, optional, rate, size } from "./fields.ts";
import { type Reader, readFields, readValue } from "./reader.ts";
import { type SourceNode, shown } from "./source-node.ts";

const KIND = "a kind of qdisc, such as sfq, fq_codel or pfifo";
/** what has a form of its own in a policy, or hangs where a leaf can't */
const NOT_HERE = new Set([
  "htb",
  "hfsc",
  "cbq",
  "drr",
  "qfq",
  "ets",
  "mq",
  "mqprio",
  "taprio",
  "multiq",
  "ingress",
  "clsact",
]);
/** one word of tc's command line */
const WORD = /^[A-Za-z0-9][A-Za-z0-9._:/%+,-]*$/;

/**
 * `sfq`, or `{ kind: sfq, perturb: 10 }`: tc's own arguments by name; `true` is the name alone, a list several words.
 * `handle` is the qdisc's own number.
 * `auto` is whatever is best on the server.
 */
export function readQdisc(reader: Reader, node: SourceNode): LeafQdisc | undefined {
  const kindNode = node.kind === "map" ? node.fields.get("kind")?.value : node;
  if (
    kindNode?.kind !== "text" ||
    !/^[a-z][a-z0-9_]{0,14}$/.test(kindNode.text) ||
    NOT_HERE.has(kindNode.text)
  ) {
    const isClassful = kindNode?.kind === "text" && NOT_HERE.has(kindNode.text);
    const message = isClassful ? `${kindNode.text} can't stand here` : "a qdisc without a kind";
    reader.problem(kindNode ?? node, message, {
      expected: isClassful ? `${KIND}; classes make a tree` : KIND,
    });
    return undefined;
  }
  const args: string[] = [];
  let handle: number | undefined;
  for (const [name, { key, value }] of node.kind === "map" ? node.fields : []) {
    if (name === "kind") continue;
    if (name === "handle") {
      handle = readValue(reader, value, handleField);
      continue;
    }
    if (kindNode.text === "auto")
      reader.problem(key, "auto takes no arguments: servers may differ in what it is", {
        found: name,
        expected: "auto alone",
      });
    if (!/^[a-z][a-z0-9_-]*$/.test(name))
      reader.problem(key, `${shown(name)} can't be an argument of tc`, {
        found: name,
        expected: "an argument's name",
      });
    const words = argumentWords(reader, value);
    args.push(name, ...(words.length === 1 && words[0] === "true" ? [] : words));
  }
  return { kind: kindNode.text, args, ...(handle && { handle }) };
}

function argumentWords(reader: Reader, node: SourceNode): string[] {
  const items = node.kind === "list" ? node.items : [node];
  return items.flatMap((item) => {
    if (item.kind === "text" && item.text === "false")
      reader.problem(item, "tc has no false", {
        found: "false",
        expected: "nothing here, or tc's own opposite",
      });
    else if (item.kind !== "text" || !WORD.test(item.text))
      reader.problem(item, "tc can't take this as an argument", {
        expected: "a number, a size, a rate, a time or a name",
      });
    else return [item.text];
    return [];
  });
}

const latency: Field<number> = duration("a time from 1ms to 60s, such as 50ms", 1, 60_000);

/** `tbf`: one rate for all of it. */
export function readTbf(reader: Reader, node: SourceNode): LeafQdisc | undefined {
  const fields = readFields(reader, node, {
    rate,
    burst: size,
    latency: optional(latency),
    limit: optional(size),
    peakrate: optional(rate),
    mtu: optional(size),
    handle: optional(handleField),
  });
  if (fields === undefined) return undefined;
  if ((fields.latency === undefined) === (fields.limit === undefined)) {
    const found = fields.latency === undefined ? "neither" : "both";
    reader.problem(node, "tbf takes either latency or limit", {
      found,
      expected: "latency: 50ms, or limit: 64k",
    });
    return undefined;
  }
  if (fields.peakrate !== undefined && fields.mtu === undefined)
    reader.problem(node, "tbf with a peakrate needs an mtu", {
      expected: "mtu: 1540, or more than the device's MTU",
    });
  const words: [string, number | undefined, string][] = [
    ["rate", fields.rate, "bit"],
    ["burst", fields.burst, ""],
    ["latency", fields.latency, "ms"],
    ["limit", fields.limit, ""],
    ["peakrate", fields.peakrate, "bit"],
    ["mtu", fields.mtu, ""],
  ];
  return {
    kind: "tbf",
    args: words.flatMap(([name, value, unit]) => (value === undefined ? [] : [name, `${value}${unit}`])),
    ...(fields.handle && { handle: fields.handle }),
  };
}
