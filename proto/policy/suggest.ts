/** The known name that is most likely meant: at most two slips away, and fewer than half of it wrong. */
export function closest(name: string, known: Iterable<string>): string | undefined {
  let best: { name: string; slips: number } | undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) > 2) continue;
    const slips = distance(name.toLowerCase(), candidate.toLowerCase());
    if (slips <= 2 && slips * 2 < candidate.length && slips < (best?.slips ?? 3))
      best = { name: candidate, slips };
  }
  return best?.name;
}

/** `; did you mean x?`, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const meant = name.length > 40 ? undefined : closest(name, firstOf(known, 100));
  return meant === undefined ? "" : `; did you mean ${meant}?`;
}

/** `one of a, b, c`, for what was expected. */
export function oneOfNames(known: Iterable<string>): string {
  const names = firstOf(known, 21);
  const rest = names.length > 20 ? ", …" : "";
  return `one of ${names.slice(0, 20).join(", ")}${rest}`;
}

function firstOf(names: Iterable<string>, max: number): string[] {
  const first: string[] = [];
  for (const name of names) {
    if (first.length === max) break;
    first.push(name);
  }
  return first;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other. */
function distance(from: string, to: string): number {
  let older: number[] = [];
  let before = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (before[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (before[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1])
        best = Math.min(best, (older[column - 2] ?? 0) + 1);
      current.push(best);
    }
    older = before;
    before = current;
  }
  return before[to.length] ?? 0;
}
