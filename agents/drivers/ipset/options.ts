import type { TargetSet } from "../driver.ts";
import { elementOf, timeoutOf } from "./entry.ts";

const DEFAULT_MAXELEM = 65_536;
const DEFAULT_LIST_SIZE = 8;
/** options that stand alone; every other is followed by a value */
const FLAGS = new Set(["counters", "comment", "skbinfo", "forceadd", "noindex"]);
/** the kernel's own affair: how the hash has grown, and its seed */
const INTERNAL = new Set(["family", "hashsize", "initval"]);

/** `family inet hashsize 1024 timeout 600 counters` → [["family","inet"],["hashsize","1024"],["timeout","600"],["counters"]] */
export function parseOptions(words: readonly string[]): string[][] {
  const options: string[][] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (FLAGS.has(word)) options.push([word]);
    else options.push([word, words[++at] ?? ""]);
  }
  return options;
}

/** What of a header's options is compared. */
export function comparedOptions(header: string): string[] {
  return parseOptions(header.split(" ").filter((word) => word !== ""))
    .filter(([name]) => !INTERNAL.has(name ?? ""))
    .flat();
}

/** A list grows while it lives, so it may have more room than the rehearsal's empty one. */
export function sameOptions(
  want: readonly string[],
  have: readonly string[],
  use: TargetSet["use"],
): boolean {
  const wanted = parseOptions(want);
  const standing = parseOptions(have);
  if (wanted.length !== standing.length) return false;
  return wanted.every(([name, value], index) => {
    const [otherName, otherValue] = standing[index] ?? [];
    if (name !== otherName) return false;
    return use === "list" && name === "maxelem" ? Number(otherValue) >= Number(value) : value === otherValue;
  });
}

export function optionValue(options: readonly string[], name: string): string | undefined {
  return parseOptions(options).find((option) => option[0] === name)?.[1];
}

/**
 * The words after `create NAME`. Room for twice the entries, since a full set refuses and growing is a swap; the hash
 * sized beforehand, which loads faster than one that doubles on the way (what n entries would make of it: n/4 to n/2).
 */
export function createWords(set: TargetSet): string[] {
  const words = [set.type];
  if (set.family !== null) words.push("family", set.family === 4 ? "inet" : "inet6");
  words.push(...set.options);
  const n = set.live?.counts().all ?? set.entries.length;
  if (set.type.startsWith("hash:")) {
    if (!set.options.includes("maxelem") && 2 * n > DEFAULT_MAXELEM)
      words.push("maxelem", String(powerOfTwo(2 * n)));
    if (!set.options.includes("hashsize") && n > 4096) words.push("hashsize", String(powerOfTwo(n / 2)));
  } else if (set.type === "list:set" && !set.options.includes("size") && n > DEFAULT_LIST_SIZE) {
    words.push("size", String(powerOfTwo(2 * n)));
  }
  return words;
}

/** The words after `add NAME`, per entry. One without a lifetime of its own stays for ever, whatever the set's default. */
export function membersOf({ options, entries }: TargetSet): readonly string[] {
  if (Number(optionValue(options, "timeout") ?? 0) === 0) return entries;
  return entries.map((entry) => {
    if (timeoutOf(entry) !== undefined) return entry;
    const element = elementOf(entry);
    return `${element} timeout 0${entry.slice(element.length)}`;
  });
}

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(atLeast));
}
