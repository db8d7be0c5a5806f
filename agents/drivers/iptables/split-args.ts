/** Splits a rule as iptables-restore does: blanks part words, quotes hold them together, a backslash frees one sign. */
export function splitArgs(rule: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < rule.length; at++) {
    const sign = rule[at] ?? "";
    if (sign === "\\" && quote !== undefined) {
      word = `${word ?? ""}${rule[++at] ?? ""}`;
    } else if (sign === quote) {
      quote = undefined;
    } else if (quote === undefined && (sign === '"' || sign === "'")) {
      quote = sign;
      word ??= "";
    } else if (quote === undefined && /\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = `${word ?? ""}${sign}`;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
