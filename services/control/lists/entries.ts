import type { Problem } from "@sluice/proto/base/errors";
import type { Family } from "@sluice/proto/base/names";
import { formatRange, parseRange } from "@sluice/proto/policy/addresses";
import type { Protected } from "../servers/protected.ts";

/** Entries in the one form in which they are kept; `problems` name each that can't be, by what was written. */
export function readEntries(
  texts: readonly string[],
  { list, families }: { list: string; families: readonly Family[] },
  guard?: Pick<Protected, "ownerIn">,
): { entries: string[]; problems: Problem[] } {
  const entries: string[] = [];
  const problems: Problem[] = [];
  for (const found of texts) {
    const range = parseRange(found);
    if (range === undefined) {
      problems.push({ message: "no address", found, expected: "an address, a network or a range" });
    } else if (!families.includes(range.family)) {
      const expected = families.map((family) => `IPv${family}`).join(" or ");
      problems.push({ message: `${list} doesn't hold IPv${range.family}`, found, expected });
    } else {
      const owner = guard?.ownerIn(range);
      if (owner === undefined) entries.push(formatRange(range));
      else problems.push({ message: `blocks an address of ${owner}, which is protected`, found });
    }
  }
  return { entries, problems };
}
