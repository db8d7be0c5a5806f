import type { Reader } from "./reader.ts";
import { type RuleWord, splitWords } from "./rule-words.ts";
import type { TextNode } from "./source-node.ts";

// iptables-restore 1.8.9 takes 1,023 bytes a word and less than 250 words; compile adds some of its own
const LINE_MAX_BYTES = 9_000;
const WORD_MAX_BYTES = 1_000;
const WORDS_MAX = 230;

/** A rule's words; undefined where the text can't be one line that iptables-restore reads. */
export function splitRule(reader: Reader, node: TextNode): RuleWord[] | undefined {
  const text = node.text.trimEnd();
  const control = text.search(/[^\P{Cc}\t]/u);
  if (control >= 0) {
    const isBreak = /[\r\n]/.test(text.charAt(control));
    reader.problem(node, isBreak ? "a rule is one line" : "a control character in a rule", {
      place: node.placeAt(control),
      found: text.charAt(control),
      expected: isBreak ? "one rule in each list item; >- joins lines" : "text",
    });
    return undefined;
  }
  const split = splitWords(text);
  if (!split.ok) {
    const expected = "balanced quotes; in YAML, a text that holds ` #` or `: ` needs single quotes around it";
    reader.problem(node, split.message, { place: node.placeAt(split.at), found: text, expected });
    return undefined;
  }
  const { words } = split;
  if (words.length === 0) {
    reader.problem(node, "an empty rule", { expected: "a rule, such as -p tcp --dport 22 -j ACCEPT" });
    return undefined;
  }
  const tooLong = words.find((word) => Buffer.byteLength(word.text) > WORD_MAX_BYTES);
  if (Buffer.byteLength(text) <= LINE_MAX_BYTES && words.length <= WORDS_MAX && tooLong === undefined)
    return words;
  reader.problem(node, "iptables can't read a rule as long as this", {
    place: node.placeAt(tooLong?.at ?? 0),
    found: `${words.length} words, ${Buffer.byteLength(text)} bytes`,
    expected: `at most ${WORDS_MAX} words of ${WORD_MAX_BYTES} bytes, ${LINE_MAX_BYTES} bytes in all; a set holds many addresses`,
  });
  return undefined;
}
