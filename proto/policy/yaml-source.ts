import {
  type Document,
  isAlias,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from "yaml";
import { messageOf, type Place, type Problem } from "../base/errors.ts";
import { PROBLEMS_MAX } from "./reader.ts";
import { printable, type SourceNode, shown, type TextNode } from "./source-node.ts";
import { yamlProblem } from "./yaml-problem.ts";

/** The API takes no longer text either. What is longer than this belongs into a live list. */
export const POLICY_MAX_BYTES = 1024 * 1024;

const MAX_DEPTH = 32;
const MAX_ALIASES = 100;
const MAX_NODES = 200_000;

export interface YamlSource {
  /** absent where the text has no usable form at all */
  root: SourceNode | undefined;
  problems: Problem[];
}

/**
 * Reads YAML into nodes with places. Never throws.
 *
 * 1. Every plain value is text: nothing is guessed to be a number, a date or a boolean.
 * 2. A key that stands twice, an explicit tag (`! -s …` would lose its `!` silently) and what can't be a key are problems.
 * 3. Bounded: size, depth, aliases followed and nodes made, so that no file costs more than it weighs.
 */
export function readYaml(text: string, file: string | undefined): YamlSource {
  const start = { file, line: 1, column: 1 };
  const bytes = Buffer.byteLength(text);
  if (bytes > POLICY_MAX_BYTES)
    return failed(start, "the file is too long", `${bytes} bytes`, `at most ${POLICY_MAX_BYTES} bytes`);
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      schema: "failsafe",
      uniqueKeys: false, // quadratic in the library, so looked for below
      prettyErrors: false,
      lineCounter: lines,
      logLevel: "error",
    });
  } catch (thrown) {
    return failed(start, "the file can't be read as YAML", messageOf(thrown), "a map of a policy's fields");
  }
  function placeAt(offset: number): Place {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }
  if (document.errors.length > 0) {
    const placed = document.errors.map((error) => ({
      error,
      place: placeAt(contentBefore(text, error.pos[0])),
    }));
    const problems = distinctLines(placed).map(({ error, place }) => yamlProblem(error, place, text));
    return { root: undefined, problems };
  }
  if (document.contents === null || isEmptyScalar(document.contents))
    return failed(start, "the file is empty", undefined, "a map of a policy's fields");
  return convert(document, text, placeAt);
}

function convert(document: Document.Parsed, source: string, placeAt: (offset: number) => Place): YamlSource {
  const problems: Problem[] = [];
  const left = { nodes: MAX_NODES, aliases: MAX_ALIASES };
  let hasGivenUp = false;

  function giveUp(place: Place, path: string, message: string, found: string, expected: string): SourceNode {
    if (!hasGivenUp) problems.push({ message, place, path, found, expected });
    hasGivenUp = true;
    return { kind: "empty", place, path };
  }

  function visit(node: ParsedNode | null, path: string, depth: number, keyPlace: Place): SourceNode {
    const place = node === null ? keyPlace : placeAt(node.range[0]);
    if (hasGivenUp) return { kind: "empty", place, path };
    left.nodes -= 1;
    if (left.nodes < 0)
      return giveUp(place, path, "the file holds too much", "more", `at most ${MAX_NODES} values`);
    if (depth > MAX_DEPTH)
      return giveUp(place, path, "nested too deeply", "more", `at most ${MAX_DEPTH} levels`);
    if (node === null) return { kind: "empty", place, path };
    if (isAlias(node)) {
      left.aliases -= 1;
      if (left.aliases < 0)
        return giveUp(
          place,
          path,
          "too many aliases",
          "more",
          `at most ${MAX_ALIASES}, those inside anchors included`,
        );
      const target = node.resolve(document);
      if (target === undefined) {
        const name = printable(node.source);
        return giveUp(
          place,
          path,
          `there is no anchor &${name} before this alias`,
          `*${name}`,
          "a text in quotes",
        );
      }
      return visit(target as ParsedNode, path, depth + 1, place);
    }
    if (node.tag !== undefined)
      problems.push({
        message: "an exclamation mark at the start is a tag in YAML, and would be lost",
        place,
        path,
        found: shown(node.tag.startsWith("!") ? node.tag : `!!${node.tag.split(":").at(-1)}`),
        expected: "the whole text in quotes",
      });
    if (isScalar(node)) return isEmptyScalar(node) ? { kind: "empty", place, path } : textNode(node, path);
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        visit(item as ParsedNode | null, `${path}[${index}]`, depth + 1, place),
      );
      return { kind: "list", items, place, path };
    }
    return { kind: "map", fields: fieldsOf(node, path, depth), place, path };
  }

  function fieldsOf(
    node: YAMLMap.Parsed,
    path: string,
    depth: number,
  ): Map<string, { key: { place: Place; path: string }; value: SourceNode }> {
    const fields: ReturnType<typeof fieldsOf> = new Map();
    for (const { key, value } of node.items) {
      const keyPlace = placeAt((key ?? value ?? node).range[0]);
      if (!isScalar(key) || typeof key.value !== "string" || key.value === "" || key.value === "__proto__") {
        problems.push({ message: "this can't be a key", place: keyPlace, path, expected: "a field's name" });
        continue;
      }
      const name = key.value;
      const keyPath = path === "" ? printable(name) : `${path}.${printable(name)}`;
      const before = fields.get(name);
      if (before !== undefined)
        problems.push({
          message: `${shown(name)} stands twice`,
          place: keyPlace,
          path: keyPath,
          found: `the first in line ${before.key.place.line}`,
          expected: "each key once",
        });
      const child = visit(value, keyPath, depth + 1, keyPlace);
      fields.set(name, { key: { place: keyPlace, path: keyPath }, value: child });
    }
    return fields;
  }

  /** Where the source holds the text unchanged (plain, or in quotes without escapes), each character has its place. */
  function textNode(node: Scalar.Parsed, path: string): TextNode {
    const text = String(node.value);
    const [from] = node.range;
    const verbatim = [from, from + 1].find((offset) => source.startsWith(text, offset));
    return {
      kind: "text",
      text,
      path,
      place: placeAt(from),
      placeAt: (offset) => placeAt(verbatim === undefined ? from : verbatim + offset),
    };
  }

  const root = visit(document.contents, "", 0, placeAt(0));
  return { root: hasGivenUp ? undefined : root, problems };
}

/** Nothing after a key or a dash. `""` in quotes is a text, and so is `~`. */
function isEmptyScalar(node: unknown): boolean {
  return isScalar(node) && node.type === "PLAIN" && node.value === "";
}

function failed(place: Place, message: string, found: string | undefined, expected: string): YamlSource {
  return { root: undefined, problems: [{ message, place, found, expected }] };
}

/** What is missing at the end of a line is missed at the start of the next: point to where it should have been. */
function contentBefore(text: string, offset: number): number {
  if (!/^[\r\n]?$/.test(text.charAt(offset))) return offset;
  return Math.max(0, text.slice(0, offset).trimEnd().length - 1);
}

/** One slip makes several complaints in one line: the first is the cause. */
function distinctLines<T extends { place: Place }>(errors: readonly T[]): T[] {
  const seen = new Set<number>();
  const first = errors.filter(({ place }) => !seen.has(place.line) && seen.add(place.line));
  return first.slice(0, PROBLEMS_MAX);
}
