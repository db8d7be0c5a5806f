import type { Family } from "@sluice/proto/base/names";
import { diffArrays } from "diff";

/** A rule as the policy has it: of one family, or of both where both have it. */
export interface ImportedRule {
  text: string;
  family?: Family | undefined;
}

/** A hook's rules of one family around those of other tools in it. */
export interface Around {
  before: readonly string[];
  after: readonly string[];
  /** between two of these */
  amid: readonly string[];
  /** else all rules are `before` */
  hasOthers: boolean;
}

const COMPARED_MAX = 3_000;

/**
 * The rules of a chain in both families, each family's in its order. One rule for both only where the texts are equal and
 * mean the same in both: a set is of one family, and icmp in ip6tables is IPv4's.
 */
export function rulesOfBoth(four: readonly string[], six: readonly string[]): ImportedRule[] {
  const only = (texts: readonly string[], family: Family) => texts.map((text) => ({ text, family }));
  if (four.length + six.length > COMPARED_MAX) return [...only(four, 4), ...only(six, 6)];
  const keys = (texts: readonly string[], family: Family) =>
    texts.map((text) => (isOfOneFamily(text) ? `${family} ${text}` : `  ${text}`));
  return diffArrays(keys(four, 4), keys(six, 6)).flatMap(({ value, added, removed }) => {
    const texts = value.map((key) => key.slice(2));
    return removed ? only(texts, 4) : added ? only(texts, 6) : texts.map((text) => ({ text }));
  });
}

const OTHERS = "others";

/**
 * The same of a hook where other tools have rules: `others` of them stand before. In a family without such rules it is the
 * other one that says where.
 */
export function rulesAround(four: Around, six: Around): { rules: ImportedRule[]; others?: number } {
  const both = four.hasOthers && six.hasOthers;
  if (!four.hasOthers && !six.hasOthers) return { rules: rulesOfBoth(four.before, six.before) };
  if (both) {
    const before = rulesOfBoth(four.before, six.before);
    return { rules: [...before, ...rulesOfBoth(four.after, six.after)], others: before.length };
  }
  const all = ({ before, after, hasOthers }: Around) => [...before, ...(hasOthers ? [OTHERS] : []), ...after];
  const rules = rulesOfBoth(all(four), all(six));
  const others = rules.findIndex(({ text }) => text === OTHERS);
  return { rules: rules.toSpliced(others, 1), others };
}

function isOfOneFamily(text: string): boolean {
  return /icmp|-set |reject-with|\d\.\d|::|(?:^| )-p \d/.test(text);
}
