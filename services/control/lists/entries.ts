import { LIST_CHANGE_MAX } from "@sluice/proto/api/lists";
import type { Problem } from "@sluice/proto/base/errors";
import type { Family } from "@sluice/proto/base/names";
import {
  type AddressRange,
  mappedIpv4,
  networksOf,
  parseRange,
  prefixOf,
} from "@sluice/proto/policy/addresses";
import type { Protected } from "../servers/protected.ts";

/**
 * Entries in the one form in which they are kept; `problems` name each that can't be, by what was written.
 *
 * A range is kept as the networks that it consists of, as the kernel would keep it: two ranges that overlap, or a range
 * and a network in it, would else take each other's addresses away.
 */
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
      problems.push({ message: "is no address", found, expected: "an address, a network or a range" });
      continue;
    }
    const fault = unfit(range, list, families) ?? blocked(range, guard);
    if (fault !== undefined) problems.push({ ...fault, found });
    else entries.push(...networksOf(range));
    if (entries.length > LIST_CHANGE_MAX) {
      problems.push({ message: `makes it more than ${LIST_CHANGE_MAX} networks in one change`, found });
      break;
    }
  }
  return { entries, problems };
}

type Fault = Pick<Problem, "message" | "expected">;

function unfit(range: AddressRange, list: string, families: readonly Family[]): Fault | undefined {
  const { family } = range;
  const ipv4 = mappedIpv4(range);
  if (ipv4 !== undefined) return { message: `is IPv4 written as IPv6: write ${ipv4}`, expected: ipv4 };
  if (!families.includes(family)) {
    const expected = families.map((one) => `IPv${one}`).join(" or ");
    return { message: `is IPv${family}, which ${list} doesn't hold`, expected };
  }
  return prefixOf(range) === 0 ? { message: "is every address there is" } : undefined;
}

function blocked(range: AddressRange, guard: Pick<Protected, "ownerIn"> | undefined): Fault | undefined {
  const owner = guard?.ownerIn(range);
  return owner === undefined ? undefined : { message: `blocks an address of ${owner}, which is protected` };
}
