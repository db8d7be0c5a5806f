import { type ClassFilter, FILTER_KINDS } from "./document.ts";
import { type Field, integer, matching, oneOf } from "./fields.ts";
import type { Reader } from "./reader.ts";
import { splitRule } from "./rule-text.ts";
import type { RuleWord } from "./rule-words.ts";
import type { Matched } from "./shaping-match.ts";
import { positionOf, type SourceNode, type TextNode } from "./source-node.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

/**
 * `filters` of a class: what stands after `tc filter add`, without the device, the parent and the class.
 *
 * They lead packets to their class and do nothing else: a filter that acts, or sends on to another table of filters, would be
 * a second language in here.
 */
const EXAMPLE = "protocol ip prio 1 handle 80 fw";
const PRIO_MAX = 0xffff;

type Kind = ClassFilter["kind"];

const HANDLE: Readonly<Record<Kind, Field<string>>> = {
  fw: matching(
    "a mark such as 80 or 0x50, with /MASK if need be",
    /^(0x[0-9a-f]{1,8}|[1-9]\d{0,9})(\/(0x[0-9a-f]{1,8}|\d{1,10}))?$/i,
  ),
  u32: matching("a place such as 800::1", /^(800)?::[0-9a-f]{1,3}$/i),
  flower: matching("a number such as 1", /^(0x[0-9a-f]{1,8}|[1-9]\d{0,9})$/i),
  matchall: matching("a number such as 1", /^(0x[0-9a-f]{1,8}|[1-9]\d{0,9})$/i),
};

/** The words before the kind. */
const HEAD: ReadonlyMap<string, "protocol" | "prio" | "handle"> = new Map([
  ["protocol", "protocol"],
  ["prio", "prio"],
  ["pref", "prio"],
  ["preference", "prio"],
  ["priority", "prio"],
  ["handle", "handle"],
]);
const PLACE = new Set(["dev", "parent", "root", "flowid", "classid"]);
const MORE_THAN_LEADS = new Set(
  "action police mirred drop goto chain block link ht hashkey divisor offset order".split(" "),
);
const PROTOCOL = matching("a protocol such as ip, ipv6 or all", /^[a-z0-9_.-]{1,16}$/i);
const WORD = /^-?[A-Za-z0-9][A-Za-z0-9._:/%+,-]*$/;

export function readFilters(
  reader: Reader,
  node: SourceNode | undefined,
  { direction }: Pick<Matched, "direction">,
  vars: Variables,
): ClassFilter[] {
  if (node === undefined) return [];
  const items = node.kind === "list" ? node.items : [node];
  if (items.length === 0)
    reader.problem(node, "an empty list of filters", { expected: `${EXAMPLE}, or no filters at all` });
  return items.flatMap((item) => {
    if (item.kind === "text") return readFilter(reader, item, direction, vars) ?? [];
    reader.problem(item, "this isn't a filter", {
      expected: `a filter in tc's own words, such as ${EXAMPLE}`,
    });
    return [];
  });
}

function readFilter(
  reader: Reader,
  node: TextNode,
  direction: Matched["direction"],
  vars: Variables,
): ClassFilter | undefined {
  const words = splitRule(reader, node);
  if (words === undefined) return undefined;
  const before = reader.problems.length;
  const head = new Map<string, RuleWord>();
  let at = 0;
  for (;;) {
    const name = HEAD.get(words[at]?.text ?? "");
    if (name === undefined) break;
    const value = words[at + 1];
    const isTwice = head.has(name);
    if (value === undefined || isTwice)
      wrong(words[at], isTwice ? `${name} stands twice` : `${name} of what?`);
    if (value !== undefined) head.set(name, value);
    at += 2;
  }
  const place = words.find(({ text }) => PLACE.has(text));
  if (place !== undefined) {
    wrong(
      place,
      `the ${place.text} of a filter is told by where it stands`,
      `${EXAMPLE}, and no ${place.text}`,
    );
    return undefined;
  }
  const kind = read(words[at], "the kind of the filter", oneOf(FILTER_KINDS));
  const protocol = read(head.get("protocol"), "protocol", PROTOCOL, "all");
  const prio = read(head.get("prio"), "prio", integer(1, PRIO_MAX));
  const said = head.get("handle");
  const handle = kind && said && read(said, "handle", HANDLE[kind]);
  if (kind === "fw" && said === undefined) wrong(words[at], "fw needs the mark that it leads to its class");
  const args = words.slice(at + 1);
  for (const { text, at: from } of args) checkVariables(reader, node, vars, text, from);
  const more = args.find(({ text }) => MORE_THAN_LEADS.has(text));
  if (more !== undefined) wrong(more, "a filter here leads to its class, and nothing else", EXAMPLE);
  const odd = args.find(({ text }) => possibleTexts(text, vars).some((one) => !WORD.test(one)));
  if (odd !== undefined) wrong(odd, "tc can't take this as a filter's word");
  if (kind === "u32" && args.length === 0)
    wrong(words[at], "a u32 without a match", "u32 match ip sport 80 0xffff");
  if (kind === "fw" && direction === "ingress")
    wrong(words[at], "what comes in has met no rule yet that could mark it", "u32, flower or matchall");
  if (reader.problems.length > before || !kind || !protocol || !prio) return undefined;
  return {
    ...{ text: node.text.trim(), protocol, prio, kind, args: args.map(({ text }) => text) },
    ...(handle && { handle }),
    ...positionOf(node),
  };

  function wrong(word: RuleWord | undefined, message: string, expected = EXAMPLE): void {
    const end = words?.at(-1);
    reader.problem(node, message, {
      place: node.placeAt(word?.at ?? (end?.at ?? 0) + (end?.text.length ?? 0)),
      found: word?.text ?? "nothing",
      expected,
    });
  }

  function read<T>(
    word: RuleWord | undefined,
    what: string,
    { schema, expected }: Field<T>,
    fallback?: T,
  ): T | undefined {
    if (word === undefined && fallback !== undefined) return fallback;
    const value = schema.safeParse(word?.text).data;
    if (value === undefined)
      wrong(word, word === undefined ? `${what} is missing` : `bad value for ${what}`, expected);
    return value;
  }
}
