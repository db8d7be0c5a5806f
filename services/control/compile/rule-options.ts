import { optionsOf as wordsOf } from "@sluice/proto/policy/rule-options";

/**
 * Reading a rule's words without knowing every match there is: what compile doesn't look for is left to the kernel.
 * A parsed rule has each option and its value in words of their own.
 */
export interface RuleOption {
  /** in full, also where iptables takes it in short */
  name: string;
  /** index of the value's word, `words.length` where it is missing */
  at: number;
  value: string | undefined;
  /** `! --option value` */
  negated: boolean;
}

const IN_FULL: Readonly<Record<string, string>> = {
  "-s": "--source",
  "--src": "--source",
  "-d": "--destination",
  "--dst": "--destination",
  "-p": "--protocol",
  "--proto": "--protocol",
  "-j": "--jump",
  "-g": "--goto",
  "-m": "--match",
  "-o": "--out-interface",
  "-f": "--fragment",
  "--dport": "--destination-port",
  "--sport": "--source-port",
  "--dports": "--destination-ports",
  "--sports": "--source-ports",
};

export function optionsOf(words: readonly string[]): RuleOption[] {
  return [...wordsOf(words.map((text) => ({ text, at: 0 })))].map(({ index, name, value, negated }) => ({
    name: IN_FULL[name] ?? name,
    at: index + 1,
    value: value?.text,
    negated,
  }));
}
