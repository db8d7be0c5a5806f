import type { Place } from "../base/errors.ts";
import type { Position } from "./document.ts";

/**
 * A policy file as a tree of texts, lists and maps, each with its place. YAML's own types are left out of it: `022`,
 * `yes` and `1e3` are the texts that were written, and each field says what it makes of them.
 */
interface Spotted {
  place: Place;
  /** dotted path, such as `firewall.filter.INPUT[2]` */
  path: string;
}

/** Where something stands: enough to report a problem there. */
export type Spot = Readonly<Spotted>;

export interface TextNode extends Spotted {
  kind: "text";
  text: string;
  /** the place of the character at this offset of the text; the text's own place where it can't be told */
  placeAt(offset: number): Place;
}

export interface ListNode extends Spotted {
  kind: "list";
  items: SourceNode[];
}

export interface MapNode extends Spotted {
  kind: "map";
  fields: Map<string, MapField>;
}

export interface MapField {
  /** where the key stands */
  key: Spot;
  value: SourceNode;
}

/** A key or a dash with nothing after it. */
export interface EmptyNode extends Spotted {
  kind: "empty";
}

export type SourceNode = TextNode | ListNode | MapNode | EmptyNode;

/** Where it stands in its file, which the policy's document doesn't know. */
export function positionOf({ place: { line, column } }: Spot): Position {
  return { line, column };
}

/** What a node is, for a message: `a list`, or the text itself. */
export function describeNode(node: SourceNode): string {
  switch (node.kind) {
    case "text":
      return shown(node.text);
    case "list":
      return "a list";
    case "map":
      return "a map";
    case "empty":
      return "nothing";
  }
}

/** The text as it is where that can be read, else in quotes; cut after 80 characters. */
export function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return /^[^\s\p{Cc}]+( [^\s\p{Cc}]+)*$/u.test(short) ? short : JSON.stringify(short);
}

/** No control characters and no end of it: a message goes to terminals. */
export function printable(text: string): string {
  const short = text.length > 500 ? `${text.slice(0, 500)}…` : text;
  return short.replace(/\p{Cc}/gu, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
