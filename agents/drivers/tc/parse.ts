import { canonicalFilterHandle, canonicalId, isOwnTable } from "./ids.ts";
import type { ClassState, FilterGroup, FilterState, QdiscState } from "./snapshot.ts";
import { INGRESS_HANDLE } from "./snapshot.ts";

/**
 * tc's text → structure.
 *
 * Text and not JSON: iproute2 6.1 prints HTB classes as text under `-j`, and a u32 filter's second `match` under the
 * same JSON key as its first. The text is regular: an object per line, its further lines indented, words between spaces.
 * Kinds this module has never heard of are read the same way.
 */
/** Classes that people make; the others are made by their qdisc. */
export const USER_CLASS_KINDS = ["htb", "hfsc", "drr", "qfq", "ets", "cbq"];

/** Words with one value that change by themselves or by the kernel's numbering, on every device. */
const VOLATILE_QDISC = new Set(["refcnt", "direct_packets_stat"]);
const VOLATILE_CLASS = new Set(["leaf", "level"]);
const VOLATILE_FILTER = new Set(["order", "index", "ref", "bind", "in_hw_count", "used_hw_stats"]);
/** What the network card says, not what was configured. */
const HARDWARE_FLAGS = new Set(["in_hw", "not_in_hw", "offloaded", "----------------"]);

export function parseQdiscs(text: string): QdiscState[] {
  return records(text, "qdisc").flatMap((words) => {
    const [kind = "", rawHandle = "", ...rest] = words;
    const handle = canonicalId(withoutRaw(rawHandle));
    if (handle === "0:") return []; // made by the kernel: the default root, mq's children
    const { parent, rest: options } = placeOf(rest);
    const place = handle === INGRESS_HANDLE ? "ingress" : parent;
    return [{ kind, handle, parent: place, words: without(options, VOLATILE_QDISC) }];
  });
}

export function parseClasses(text: string): ClassState[] {
  return records(text, "class").flatMap((words) => {
    const [kind = "", rawId = "", ...rest] = words;
    const classid = canonicalId(withoutRaw(rawId));
    // tbf, prio, sfq, fq_codel … show classes that nobody made; hfsc shows its own root as `1:`
    if (!USER_CLASS_KINDS.includes(kind) || classid.endsWith(":")) return [];
    const { parent, rest: options } = placeOf(rest);
    const place = parent === "root" ? `${classid.split(":")[0]}:` : parent;
    return [{ kind, classid, parent: place, words: without(options, VOLATILE_CLASS) }];
  });
}

/** What `tc filter show dev D parent P` says: tc leaves the parent out, so it is told. */
export function parseFilters(
  text: string,
  parent: string,
): { groups: FilterGroup[]; filters: FilterState[] } {
  const groups = new Map<string, FilterGroup>();
  const filters: FilterState[] = [];
  for (const words of records(text, "filter")) {
    const head = filterHead(words, canonicalId(parent));
    const { group } = head;
    groups.set(`${group.parent} ${group.prio} ${group.kind} ${group.protocol}`, group);
    const named = handleOf(group.kind, head.rest);
    if (named === undefined) continue; // the group's own line, or the table that a u32 prio starts with
    filters.push({
      ...group,
      handle: canonicalFilterHandle(group.kind, named.kernelHandle),
      kernelHandle: named.kernelHandle,
      words: without(withoutPoliceNumber(u32Words(group.kind, named.rest)), VOLATILE_FILTER),
    });
  }
  return { groups: [...groups.values()], filters };
}

/** One list of words per object; the object's indented lines belong to it. */
function records(text: string, object: string): string[][] {
  const found: string[][] = [];
  let current: string[] | undefined;
  for (const line of text.split("\n")) {
    const words = wordsOf(line.replace(/\(rule hit[^)]*\)/g, ""));
    if (words.length === 0) continue;
    if (/^\s/.test(line)) {
      current?.push(...words);
      continue;
    }
    current = words[0] === object ? words.slice(1) : undefined;
    if (current !== undefined) found.push(current);
  }
  return found;
}

function wordsOf(line: string): string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}

/** `-r` adds the number in brackets: `1:[00010000]` */
function withoutRaw(id: string): string {
  return id.replace(/\[[0-9a-f]+\]$/, "");
}

function placeOf(words: readonly string[]): { parent: string; rest: string[] } {
  const rest = [...words];
  if (rest[0] === "dev") rest.splice(0, 2);
  if (rest[0] === "parent") return { parent: canonicalId(withoutRaw(rest[1] ?? "")), rest: rest.slice(2) };
  return { parent: "root", rest: rest[0] === "root" ? rest.slice(1) : rest };
}

function filterHead(words: readonly string[], parent: string): { group: FilterGroup; rest: string[] } {
  const rest = [...words];
  const group: FilterGroup = { parent, protocol: "all", prio: 0, kind: "" };
  while (["dev", "parent", "protocol", "pref", "block"].includes(rest[0] ?? "") || rest[0] === "root") {
    const key = rest.shift();
    if (key === "root") continue;
    const value = rest.shift() ?? "";
    if (key === "protocol") group.protocol = value;
    if (key === "pref") group.prio = Number(value);
  }
  group.kind = rest.shift() ?? "";
  if (rest[0] === "chain" && rest[1] === "0") rest.splice(0, 2);
  return { group, rest };
}

function handleOf(
  kind: string,
  words: readonly string[],
): { kernelHandle: string; rest: string[] } | undefined {
  const at = words.indexOf(kind === "u32" ? "fh" : "handle");
  const kernelHandle = at < 0 ? undefined : words[at + 1];
  if (kernelHandle === undefined) return undefined;
  const rest = words.filter((_, index) => index !== at && index !== at + 1);
  const isStartTable =
    kind === "u32" && rest.includes("divisor") && isOwnTable(kernelHandle.split(":")[0] ?? "");
  return isStartTable ? undefined : { kernelHandle, rest };
}

/** `key ht 801 bkt 0` → `key bkt 0` where 801 is the prio's own table; `*flowid` only says that the class exists. */
function u32Words(kind: string, words: readonly string[]): string[] {
  if (kind !== "u32") return [...words];
  const at = words.indexOf("key");
  const isOwn = at >= 0 && words[at + 1] === "ht" && isOwnTable(words[at + 2] ?? "");
  return words
    .filter((_, index) => !(isOwn && (index === at + 1 || index === at + 2)))
    .map((word) => (word === "*flowid" ? "flowid" : word));
}

/** `police 0x2 rate …`: the kernel numbers policers in the order of creation. */
function withoutPoliceNumber(words: readonly string[]): string[] {
  return words.filter((word, index) => words[index - 1] !== "police" || !/^0x[0-9a-f]+$/.test(word));
}

function without(words: readonly string[], volatile: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    // `action order 1:` numbers the actions of one filter: that is structure
    if (volatile.has(word) && !(word === "order" && words[index - 1] === "action")) index += 1;
    else if (!HARDWARE_FLAGS.has(word)) kept.push(word);
  }
  return kept;
}
