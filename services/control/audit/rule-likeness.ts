import { policyChain } from "@sluice/proto/base/names";
import type { PolicyLine } from "../policies/blame-lines.ts";

/**
 * Which line of a policy a rule is, as somebody found it: as the policy writes it, or as iptables-save prints it.
 *
 * The kernel prints nearly every rule otherwise than it was written (`-m tcp`, `/32`, options in another order, variables as
 * what they stand for, defaults that nobody wrote). So a line is meant if all of its words stand in the rule; of several the
 * one with the fewest words over. A rule without its chain was written, not printed: then no word may be over. A rule that
 * the kernel spells otherwise altogether (`--set-mark`) isn't found by its print: better none than a wrong one.
 */
export interface FoundRule {
  /** the kernel's chain, where the rule says one */
  chain?: string | undefined;
  words: string[];
}

const LONG: Readonly<Record<string, string>> = {
  "--protocol": "-p",
  "--proto": "-p",
  "--source": "-s",
  "--src": "-s",
  "--destination": "-d",
  "--dst": "-d",
  "--in-interface": "-i",
  "--out-interface": "-o",
  "--jump": "-j",
  "--goto": "-g",
  "--match": "-m",
  "--destination-port": "--dport",
  "--destination-ports": "--dports",
  "--source-port": "--sport",
  "--source-ports": "--sports",
  "--state": "--ctstate",
};
const IMPLIED = new Set(["tcp", "udp", "icmp", "icmp6", "ipv6-icmp", "sctp", "state", "conntrack"]);

export function readFoundRule(text: string): FoundRule {
  const words = wordsOf(text);
  const place = words.findIndex((word) => word === "-A" || word === "-I" || word === "--append");
  if (place === -1) return { words: plain(words) };
  const rest = words.slice(place + 2);
  return { chain: words[place + 1], words: plain(/^\d+$/.test(rest[0] ?? "") ? rest.slice(1) : rest) };
}

/** The lines that it may be: several where they have equally many words over. */
export function likest(
  found: FoundRule,
  policy: string,
  lines: readonly PolicyLine[],
): { over: number; lines: PolicyLine[] } {
  const names = new Map(
    lines.map(({ path: [...path] }) => [policyChain(policy, path.at(-1) ?? ""), path.at(-1)]),
  );
  const words = found.words.map((word) => names.get(word) ?? ownSet(policy, word));
  const most = found.chain === undefined ? 0 : words.length;
  const likely = lines.flatMap((line) => {
    if (!line.says.startsWith("-") || !isIn(found.chain, policy, line.path.at(-1) ?? "")) return [];
    const over = wordsOver(words, plain(wordsOf(line.says)));
    return over === undefined || over > most ? [] : [{ line, over }];
  });
  const over = Math.min(...likely.map((one) => one.over));
  return { over, lines: likely.filter((one) => one.over === over).map(({ line }) => line) };
}

function isIn(wanted: string | undefined, policy: string, chain: string): boolean {
  return wanted === undefined || wanted === chain || wanted === policyChain(policy, chain);
}

function wordsOf(text: string): string[] {
  return (text.match(/"(?:[^"\\]|\\.)*"|'[^']*'|\S+/g) ?? []).map((word) =>
    word.replace(/^(["'])(.*)\1$/s, "$2"),
  );
}

/** Without what says nothing more: matches that options bring along, masks of one address. */
function plain(words: readonly string[]): string[] {
  const short = words.map((word) => LONG[word] ?? word);
  return short
    .filter((word, index) => {
      const isImplied = (one: string | undefined, name: string | undefined) =>
        one === "-m" && IMPLIED.has(name ?? "");
      return !isImplied(word, short[index + 1]) && !isImplied(short[index - 1], word);
    })
    .map((word) =>
      word
        .replace(/\/(32|128)$/, "")
        .split(",")
        .sort()
        .join(","),
    );
}

/** A set of the policy's own, by the name that the policy has for it. */
function ownSet(policy: string, word: string): string {
  const [, set] = new RegExp(`^sl-${policy}-(.+)-[a-z]+[46]?$`).exec(word) ?? [];
  return set ?? word;
}

/** How many words the rule has over those of the line; undefined where the line has one that the rule hasn't. */
function wordsOver(rule: readonly string[], line: readonly string[]): number | undefined {
  const left = [...rule];
  let variables = 0;
  for (const word of line) {
    const place = left.indexOf(word);
    if (place !== -1) left.splice(place, 1);
    else if (word.includes("$")) variables += 1;
    else return undefined;
  }
  return Math.max(0, left.length - variables);
}
