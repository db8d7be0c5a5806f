import type { Difference } from "@sluice/proto/manifest/difference";

const SHOWN_MAX = 20;

/** What a difference shows of two texts: the lines that only one of them has. */
export function lineDifference(
  want: readonly string[],
  have: readonly string[],
): Pick<Difference, "want" | "have" | "more"> {
  const onlyWant = without(want, have);
  const onlyHave = without(have, want);
  // the same lines in another order: show both whole
  return onlyWant.length + onlyHave.length > 0 ? shown(onlyWant, onlyHave) : shown(want, have);
}

/** Lines of `lines` that `others` lacks, counting repeated ones. */
export function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = left.get(line) ?? 0;
    if (count > 0) left.set(line, count - 1);
    return count === 0;
  });
}

function shown(want: readonly string[], have: readonly string[]): Pick<Difference, "want" | "have" | "more"> {
  const more = Math.max(0, want.length - SHOWN_MAX) + Math.max(0, have.length - SHOWN_MAX);
  return {
    ...(want.length > 0 ? { want: want.slice(0, SHOWN_MAX) } : {}),
    ...(have.length > 0 ? { have: have.slice(0, SHOWN_MAX) } : {}),
    ...(more > 0 ? { more } : {}),
  };
}
