import { splitArgs } from "../drivers/iptables/split-args.ts";

/** A rule as the kernel spells it, in parts: what comes first, each match with its options, the target with its own. */
export interface RuleParts {
  /** protocol, addresses, devices */
  general: string[];
  matches: Match[];
  /** `DROP`, a chain's name; undefined for a rule that only counts */
  target: string | undefined;
  isGoto: boolean;
  targetWords: string[];
}

export interface Match {
  name: string;
  words: string[];
}

/** Texts that may be anything, `-m` and `-j` included. */
const TEXTS = new Set(["--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string"]);

export function rulePartsOf(rule: string): RuleParts {
  const parts: RuleParts = { general: [], matches: [], target: undefined, isGoto: false, targetWords: [] };
  const words = splitArgs(rule);
  let into = parts.general;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const isText = TEXTS.has(words[at - 1] ?? "");
    if (!isText && word === "-m") {
      const match: Match = { name: words[++at] ?? "", words: [] };
      parts.matches.push(match);
      into = match.words;
    } else if (!isText && (word === "-j" || word === "-g")) {
      parts.isGoto = word === "-g";
      parts.target = words[++at] ?? "";
      into = parts.targetWords;
    } else into.push(word);
  }
  return parts;
}
