import type { z } from "zod";
import type { Place, Problem } from "../base/errors.ts";
import type { Field } from "./fields.ts";
import {
  describeNode,
  type ListNode,
  type MapNode,
  printable,
  type SourceNode,
  type Spot,
  shown,
} from "./source-node.ts";
import { didYouMean } from "./suggest.ts";

/** Walks a policy's nodes and collects everything wrong with them: one problem never hides another. */
export interface Reader {
  readonly problems: Problem[];
  /** how many more there are than are kept */
  dropped: number;
  problem(
    at: Spot | SourceNode,
    message: string,
    more?: { found?: string; expected?: string; place?: Place },
  ): void;
}

/** More than anybody reads at once. */
export const PROBLEMS_MAX = 500;
/** Beyond these not even their number is told: each costs the time of a suggestion. */
export const DROPPED_MAX = 1_000;

/** Ends the reading of a text that is wrong all over. */
export class TooManyProblems extends Error {}

export function createReader(problems: Problem[]): Reader {
  return {
    problems,
    dropped: 0,
    problem(at, message, more = {}) {
      if (problems.length >= PROBLEMS_MAX) {
        this.dropped += 1;
        if (this.dropped > DROPPED_MAX) throw new TooManyProblems();
        return;
      }
      const found = more.found ?? ("kind" in at ? describeNode(at) : undefined);
      problems.push({
        message: printable(message),
        place: more.place ?? at.place,
        path: printable(at.path),
        ...(found !== undefined && { found: shown(found) }),
        ...(more.expected !== undefined && { expected: printable(more.expected) }),
      });
    },
  };
}

type Shape = Readonly<Record<string, Field<unknown> | "nested">>;
type ValueOf<F> = F extends Field<infer T> ? T : SourceNode | undefined;
export type FieldsOf<S extends Shape> = { [K in keyof S]: ValueOf<S[K]> };

/**
 * The fields of a map: unknown ones are problems at their key, missing and malformed ones too. Nested ones come back
 * as nodes, whatever they are. Undefined if any known field couldn't be had.
 */
export function readFields<S extends Shape>(
  reader: Reader,
  node: SourceNode,
  shape: S,
): FieldsOf<S> | undefined {
  const map = readMap(reader, node, `a map of ${Object.keys(shape).join(", ")}`);
  if (map === undefined) return undefined;
  const known = Object.keys(shape);
  for (const [name, { key }] of map.fields)
    if (!Object.hasOwn(shape, name))
      reader.problem(key, `unknown field ${name}${didYouMean(name, known)}`, {
        found: name,
        expected: `one of ${known.join(", ")}`,
      });
  const values: Record<string, unknown> = {};
  let isWhole = true;
  for (const [name, field] of Object.entries(shape)) {
    const found = map.fields.get(name);
    if (field === "nested") {
      values[name] = found?.value;
      continue;
    }
    const parsed =
      found === undefined ? field.schema.safeParse(undefined) : parseNode(reader, found.value, field);
    if (found === undefined && !parsed?.success)
      reader.problem(map, `${name} is missing`, { found: "nothing", expected: `${name}: ${field.expected}` });
    if (parsed?.success) values[name] = parsed.data;
    else isWhole = false;
  }
  return isWhole ? (values as FieldsOf<S>) : undefined;
}

/** One value; its problems are reported at the part that is wrong. */
export function readValue<T>(reader: Reader, node: SourceNode, field: Field<T>): T | undefined {
  const parsed = parseNode(reader, node, field);
  return parsed.success ? parsed.data : undefined;
}

function parseNode<T>(reader: Reader, node: SourceNode, field: Field<T>): z.ZodSafeParseResult<T> {
  const parsed = field.schema.safeParse(plainValue(node));
  if (!parsed.success)
    for (const issue of parsed.error.issues) {
      const at = nodeAt(node, issue.path);
      reader.problem(at, badValue(at), { expected: field.expected });
    }
  return parsed;
}

export function readMap(reader: Reader, node: SourceNode, expected: string): MapNode | undefined {
  if (node.kind === "map") return node;
  reader.problem(node, badValue(node), { expected });
  return undefined;
}

export function readList(reader: Reader, node: SourceNode, expected: string): ListNode | undefined {
  if (node.kind === "list") return node;
  reader.problem(node, badValue(node), { expected });
  return undefined;
}

function badValue({ path }: Spot): string {
  return path === "" ? "this isn't a policy" : `bad value for ${path.slice(path.lastIndexOf(".") + 1)}`;
}

/** What zod is given: texts, arrays and objects; null for nothing. */
function plainValue(node: SourceNode): unknown {
  switch (node.kind) {
    case "text":
      return node.text;
    case "list":
      return node.items.map(plainValue);
    case "map":
      return Object.fromEntries([...node.fields].map(([name, { value }]) => [name, plainValue(value)]));
    case "empty":
      return null;
  }
}

function nodeAt(node: SourceNode, path: readonly PropertyKey[]): SourceNode {
  const [step, ...rest] = path;
  if (step === undefined) return node;
  const child =
    node.kind === "list"
      ? node.items[Number(step)]
      : node.kind === "map"
        ? node.fields.get(String(step))?.value
        : undefined;
  return child === undefined ? node : nodeAt(child, rest);
}
