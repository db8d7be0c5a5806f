import type { Family } from "../base/names.ts";
import type { Reader } from "./reader.ts";
import type { RuleWord } from "./rule-words.ts";
import type { TextNode } from "./source-node.ts";

/** What a rule has said of its family so far. */
export interface RuleFamily {
  family: Family | undefined;
  /** the words that said it */
  because: string;
}

/** One rule is of one family: the first word that says one decides, and a later one that says another is the problem. */
export function addFamily(
  reader: Reader,
  node: TextNode,
  sofar: RuleFamily,
  family: Family,
  word: RuleWord | undefined,
): void {
  const because = word?.text ?? "";
  if (sofar.family === undefined) Object.assign(sofar, { family, because });
  else if (sofar.family !== family)
    reader.problem(
      node,
      `this rule is IPv${sofar.family} by ${sofar.because} and IPv${family} by ${because}`,
      {
        place: node.placeAt(word?.at ?? 0),
        found: because,
        expected: "one family in a rule; a set holds both",
      },
    );
}
