import fc from "fast-check";
import { expect, test } from "vitest";
import { quoteWords, splitWords } from "./rule-words.ts";

function texts(text: string): string[] {
  const split = splitWords(text);
  if (!split.ok) throw new Error(split.message);
  return split.words.map((word) => word.text);
}

test("words that were shown read back as they were", () => {
  const word = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom('"', "'", "\\", " ", "-", "t", "a") }),
  );
  fc.assert(
    fc.property(fc.array(word), (words) => {
      expect(texts(quoteWords(words))).toEqual(words);
    }),
  );
});

test.each([
  ["-p tcp  --dport 22\t-j ssh ", ["-p", "tcp", "--dport", "22", "-j", "ssh"]],
  [`--comment "two words" -j DROP`, ["--comment", "two words", "-j", "DROP"]],
  [`--comment 'a "b" \\ c'`, ["--comment", 'a "b" \\ c']],
  [`--comment "a \\"b\\" \\\\ c\\'d"`, ["--comment", `a "b" \\ c'd`]],
  [`a"b c"'d e'f\\ g`, ["ab cd ef g"]],
  [`"" ''`, ["", ""]],
  ["", []],
])("%j is read as a shell reads it", (text, words) => {
  expect(texts(text)).toEqual(words);
});

test("each word says where it begins", () => {
  expect(splitWords(`-j  'LOG' x`)).toEqual({
    ok: true,
    words: [
      { text: "-j", at: 0 },
      { text: "LOG", at: 4 },
      { text: "x", at: 10 },
    ],
  });
});

test.each([
  [`-m "a b`, { message: `a " that isn't closed`, at: 3 }],
  [`-m it's`, { message: "a ' that isn't closed", at: 5 }],
  ["-m a\\", { message: "a backslash with nothing after it", at: 4 }],
])("%j is unbalanced, and the place is named", (text, expected) => {
  expect(splitWords(text)).toEqual({ ok: false, ...expected });
});

test("a comment that reads like -t TABLE is shown, for iptables-restore looks for it", () => {
  expect(quoteWords(["--comment", "-t", "--comment", "-not", "--comment", "--table", "-p", "tcp"])).toBe(
    `--comment "-t" --comment "-not" --comment "--table" -p tcp`,
  );
});
