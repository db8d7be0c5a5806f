import { SluiceError } from "@sluice/proto/base/errors";

/**
 * One line of a `-batch` text. tc and ip read such a text with a small shell of their own: a newline ends the command,
 * `#` begins a comment, a backslash joins lines, quotes hold a word together. What a policy wrote must stay one word.
 */
export function words(...args: readonly string[]): string {
  return args.map(quoted).join(" ");
}

function quoted(word: string): string {
  if (/^[\x21-\x7e]+$/.test(word) && !/["'#\\]/.test(word)) return word;
  if (/^[\x20-\x7e]+$/.test(word) && !/["#\\]/.test(word)) return `"${word}"`;
  throw new SluiceError("INVALID", `tc can't be given the word ${JSON.stringify(word)}`, {
    cure: "leave out quotes, #, backslashes, line breaks and anything that isn't plain ASCII",
  });
}
