import type { ManifestRule, Origin } from "@sluice/proto/manifest/manifest";
import { splitArgs } from "../drivers/iptables/split-args.ts";

const ADDRESSES = new Set(["-s", "--src", "--source", "-d", "--dst", "--destination"]);

/**
 * Which of a chain's rules each line that the kernel shows comes from: one of several addresses is shown as one line per
 * address. Undefined where the lines are others than these rules make.
 */
export function rulesOfLines(rules: readonly ManifestRule[], lines: number): ManifestRule[] | undefined {
  const all = rules.flatMap((rule) => Array<ManifestRule>(linesOf(rule.args)).fill(rule));
  return all.length === lines ? all : undefined;
}

/** Where a line comes from; undefined for what is Sluice's own, and where it can't be told. */
export function originOfLine(
  rules: readonly ManifestRule[],
  lines: number,
  index: number,
): Origin | undefined {
  return rulesOfLines(rules, lines)?.[index]?.origin;
}

function linesOf(args: string): number {
  const words = splitArgs(args);
  return words.reduce(
    (product, word, at) => (ADDRESSES.has(words[at - 1] ?? "") ? product * word.split(",").length : product),
    1,
  );
}
