/**
 * Reading a rule's words without knowing every match there is: only the options below are understood, and everything
 * else is left to the kernel. An option counts only where an option can stand, not as the text of a comment or prefix.
 */
export interface RuleOption {
  name: string;
  /** index of the value's word, `words.length` where it is missing */
  at: number;
  value: string | undefined;
  /** `! --option value` */
  negated: boolean;
}

/** Options whose value is free text and may look like an option itself. */
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

/** The long names of what iptables also takes in short, so that each is looked for once. */
const LONG: Readonly<Record<string, string>> = {
  "-s": "--source",
  "--src": "--source",
  "-d": "--destination",
  "--dst": "--destination",
  "-p": "--protocol",
  "--proto": "--protocol",
  "-j": "--jump",
  "-g": "--goto",
  "-m": "--match",
  "-i": "--in-interface",
  "-o": "--out-interface",
  "-f": "--fragment",
  "--dport": "--destination-port",
  "--sport": "--source-port",
  "--dports": "--destination-ports",
  "--sports": "--source-ports",
};

export function* optionsOf(words: readonly string[]): Generator<RuleOption> {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!isOption(word)) continue;
    const at = index + 1;
    yield { name: LONG[word] ?? word, at, value: words[at], negated: words[index - 1] === "!" };
    if (TEXT_OPTIONS.has(word)) index += 1;
  }
}

/** `--option=value`, as getopt also takes it, in two words. The text of a comment stays as it is. */
export function separateValues(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    const isText = TEXT_OPTIONS.has(words[index - 1] ?? "");
    const cut = /^(--[a-z][a-z0-9-]*)=(.*)$/s.exec(word);
    return isText || cut === null ? [word] : [cut[1] ?? "", cut[2] ?? ""];
  });
}

export function isOption(word: string): boolean {
  return /^-(-[a-z]|[a-z]$)/i.test(word);
}
