/**
 * The words of a rule, read as a shell reads them and written as iptables-restore reads them.
 *
 * Reading: blanks separate; single quotes keep everything; in double quotes, and outside quotes, a backslash keeps the
 * next character. Quoted and unshown parts that touch are one word. That is what iptables-save prints, too.
 * Writing: iptables-restore ends a word at its closing quote and knows double quotes alone, so a word is shown whole or
 * not at all. `splitWords(quoteWords(words))` is `words`.
 */
export interface RuleWord {
  text: string;
  /** where the word begins, counted in UTF-16 units from the start of the text */
  at: number;
}

export type SplitWords = { ok: true; words: RuleWord[] } | { ok: false; message: string; at: number };

/** The words with their places; or what is unbalanced, and where it was opened. */
export function splitWords(text: string): SplitWords {
  const words: RuleWord[] = [];
  let word: RuleWord | undefined;
  let quote: { sign: string; at: number } | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text.charAt(at);
    if (quote === undefined && /\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= { text: "", at };
    if (sign === "\\" && quote?.sign !== "'") {
      if (at + 1 === text.length) return { ok: false, message: "a backslash with nothing after it", at };
      at += 1;
      word.text += text.charAt(at);
    } else if (quote === undefined && (sign === '"' || sign === "'")) quote = { sign, at };
    else if (sign === quote?.sign) quote = undefined;
    else word.text += sign;
  }
  if (quote !== undefined) return { ok: false, message: `a ${quote.sign} that isn't closed`, at: quote.at };
  if (word !== undefined) words.push(word);
  return { ok: true, words };
}

/** The words on one line, for iptables-restore. A newline can't be written there: whoever calls has refused it. */
export function quoteWords(words: readonly string[]): string {
  return words.map((word) => (isBare(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`)).join(" ");
}

/** iptables-restore takes an unshown `-…t…` or `--t` for its own `-t TABLE`, even as the text of a comment. */
function isBare(word: string): boolean {
  return /^[^\s"'\\]+$/.test(word) && !/^-[^-]*t|^--t/.test(word);
}
