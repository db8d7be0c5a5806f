import type { RuleWord } from "./rule-words.ts";
import { hasVariable } from "./variables.ts";

/**
 * Which words of a rule are options, and which options a rule may have, without knowing every match there is.
 *
 * A rule is one rule: what would name another chain or table, run a command (`--modprobe`), or do anything but describe
 * a packet and its target is refused, in every spelling that getopt takes: in full, shortened, with `=`, and run
 * together. Everything else is left to the server's own iptables.
 */

/**
 * Options whose value is free text and may look like an option itself. But only where such a word can't be a value: in
 * `--name --comment --modprobe=X` the comment is a name, and what follows is an option.
 */
const TEXT_OPTIONS = new Set([
  "--comment",
  "--log-prefix",
  "--nflog-prefix",
  "--ulog-prefix",
  "--string",
  "--hex-string",
  "--algo",
  "--bytecode",
]);

/** Options that are read here, so they must be written in a way that can't be overlooked. */
const READ_LONG = [
  "jump",
  "goto",
  "match",
  "protocol",
  "source",
  "destination",
  "src",
  "dst",
  "in-interface",
  "out-interface",
  "fragment",
  "ipv4",
  "ipv6",
  "match-set",
  "add-set",
  "del-set",
  "map-set",
] as const;

const FORBIDDEN_LONG = [
  "append",
  "check",
  "delete",
  "insert",
  "replace",
  "list",
  "list-rules",
  "flush",
  "zero",
  "new-chain",
  "delete-chain",
  "rename-chain",
  "policy",
  "table",
  "set-counters",
  "wait",
  "wait-interval",
  "modprobe",
  "numeric",
  "verbose",
  "version",
  "exact",
  "line-numbers",
  "help",
] as const;

/** Shortened forms of the above that are options of a match in their own right: recent's, policy's, and iptables' own. */
const IN_THEIR_OWN_RIGHT = new Set(["set", "pol", "proto"]);
/** The same for options of a target, which are its own only after its name. */
const OF_TARGETS: Readonly<Record<string, string>> = { "--new": "CLUSTERIP" };

/** `--option=value` and `-sVALUE` in two words each, as getopt reads them; texts and everything else as they are. */
export function separateValues(words: readonly RuleWord[]): RuleWord[] {
  return words.flatMap((word, index) => {
    if (isTextOption(words, index - 1)) return [word];
    const cut = /^(--[a-z][a-z0-9-]*)=(.*)$/is.exec(word.text) ?? /^(-[psdiojgm])(.+)$/s.exec(word.text);
    const [, option, value] = cut ?? [];
    return option === undefined || value === undefined
      ? [word]
      : [
          { text: option, at: word.at },
          { text: value, at: word.at + word.text.length - value.length },
        ];
  });
}

export interface RuleOption {
  /** index of the option's word */
  index: number;
  name: string;
  /** where the option begins in the rule's text */
  at: number;
  /** the word after it, whatever it is */
  value: RuleWord | undefined;
  negated: boolean;
}

/** The words that stand where an option can stand. */
export function* optionsOf(words: readonly RuleWord[]): Generator<RuleOption> {
  for (let index = 0; index < words.length; index += 1) {
    const { text: name, at } = words[index] ?? { text: "", at: 0 };
    if (!isOption(name)) continue;
    yield { index, name, at, value: words[index + 1], negated: words[index - 1]?.text === "!" };
    if (isTextOption(words, index)) index += 1;
  }
}

function isTextOption(words: readonly RuleWord[], index: number): boolean {
  const before = words[index - 1]?.text ?? "";
  return TEXT_OPTIONS.has(words[index]?.text ?? "") && !(isOption(before) && !isTextValue(words, index - 1));
}

/** The word is the text of the option before it. */
function isTextValue(words: readonly RuleWord[], index: number): boolean {
  return index > 0 && isTextOption(words, index - 1);
}

/** Whatever begins with a dash and is no negative number; of digits, getopt takes 4 and 6 for options. */
function isOption(word: string): boolean {
  return /^-./s.test(word) && (/^-[46]+$/.test(word) || !/^-\d+(\.\d+)?$/.test(word));
}

/** Why a rule can't have this option after this target, and what to do instead; undefined where it can. */
export function optionFault(name: string, target: string): { message: string; expected: string } | undefined {
  const single = "a rule alone: matches and a target";
  if (hasVariable(name))
    return { message: "an option can't come from a variable", expected: "the option itself" };
  if (!name.startsWith("--")) {
    if (/^-[psdiojgmf46]$/.test(name)) return undefined;
    return { message: `${name} has no place in a rule`, expected: single };
  }
  const long = name.slice(2);
  if (OF_TARGETS[name] === target) return undefined;
  if (IN_THEIR_OWN_RIGHT.has(long)) return undefined;
  const read = READ_LONG.find((option) => option.startsWith(long));
  const forbidden = FORBIDDEN_LONG.find((option) => option.startsWith(long));
  if (long === read) return undefined;
  if (forbidden !== undefined) return { message: `${name} has no place in a rule`, expected: single };
  return read && { message: `${name} is a shortened option`, expected: `--${read} in full` };
}
