/** What iptables-restore's words say: the line it stopped at (from 0 in the text that was sent) and why. */
export interface Refusal {
  line: number | undefined;
  reason: string;
  /** the lock was held by another: try again, nothing is wrong with the text */
  locked: boolean;
}

/**
 * Three spellings (1.8.9), all counted from the tool's start:
 * `Error occurred at line: 9` after the reason, `line 15: RULE_APPEND failed (Invalid argument): …` (nft, the kernel's
 * no), `iptables-restore: line 18 failed` (legacy, the kernel's no, always at COMMIT and without a reason).
 * nft also finds a missing chain only at COMMIT, but names it, so the line that jumps there is looked up.
 */
export function parseRefusal(text: string, said: readonly string[], linesBefore: number): Refusal {
  const lines = text.split("\n");
  const all = said.join("\n");
  const number = /(?:Error occurred at line: |^line |: line )(\d+)/m.exec(all)?.[1];
  const counted = number === undefined ? undefined : Number(number) - linesBefore - 1;
  const line = counted !== undefined && counted >= 0 && counted < lines.length ? counted : undefined;
  const missing = /Chain '([^']+)' does not exist/.exec(all)?.[1];
  const jumper = missing === undefined ? -1 : lines.findIndex((candidate) => jumpsTo(candidate, missing));
  return {
    line: jumper >= 0 ? jumper : line,
    reason: reasonOf(said),
    // older tools also say that they wait (`…lock; still 4s`) and then go on
    locked: /holding the xtables lock(?!; (?:still|waiting))|Resource temporarily unavailable/.test(all),
  };
}

/** Rules are what a policy's line stands behind; the kernel may blame a jump or the commit instead. */
export function isRuleLine(line: string | undefined): boolean {
  return line?.startsWith("-A SL-") ?? false;
}

function jumpsTo(line: string, chain: string): boolean {
  return / (?:-[jg]|--jump|--goto) (\S+)/.exec(line)?.[1] === chain;
}

function reasonOf(said: readonly string[]): string {
  const told = said
    .filter((line) => !/^(Try `|Error occurred at line|Another app is currently)/.test(line))
    .map((line) =>
      line
        .replace(/^ip6?tables\S* v\S+ \((?:nf_tables|legacy)\): ?/, "")
        .replace(/^line \d+: /, "")
        .replace(/^ip6?tables\S*: line \d+ failed(?:: |\.?$)/, "")
        .trim(),
    )
    .filter((line) => line !== "");
  return told.join("; ") || "the kernel refused the commit";
}
