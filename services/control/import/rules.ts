import type { Family } from "@sluice/proto/base/names";
import { diffArrays } from "diff";

/** A rule as the policy has it: of one family, or of both where both have it. */
export interface ImportedRule {
  text: string;
  family?: Family | undefined;
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

function isOfOneFamily(text: string): boolean {
  return /icmp|-set |reject-with|\d\.\d|::|(?:^| )-p \d/.test(text);
}
