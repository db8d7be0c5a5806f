import type { ListEntries } from "../converge/target.ts";
import type { Target, TargetSet } from "../drivers/driver.ts";
import { elementOf, timeoutOf } from "../drivers/ipset/entry.ts";
import { freshLists } from "./fresh-lists.ts";

/**
 * Which lists a look for drift compares member by member, and with what.
 *
 * 1. A list is read whole where the kernel's number of members isn't the list's, and every so often even where it is:
 *    somebody may have put one in for one taken out. A list of a million costs seconds to read, so each is read in
 *    proportion to its size: about 20,000 members a minute, ten times that where its number is wrong.
 * 2. What a delta brought or took while the kernel was read, and what is about to run out, is right either way: a look
 *    never mends what is only on its way, and never writes back what a list has just lost.
 * 3. A list that control hasn't spoken of since the start only gets back what it has lost: what the disk says of it may
 *    be older than the kernel.
 */
export interface ListLooks {
  /** The target with its lists as they are now; those that are to be read whole are marked. */
  fresh(target: Target, isAsked: boolean): Promise<Target>;
  /** The same after the kernel was read. */
  settle(target: Target): Target;
}

export interface ListLooksOptions {
  entries: ListEntries;
  isKnown(setName: string): boolean;
  /** Resolves when no delta is on its way into the kernel. */
  written(): Promise<void>;
  /** how many members each set in the kernel has */
  counts(): Promise<ReadonlyMap<string, number>>;
  nowMs(): number;
}

const MS_PER_MEMBER = 3;
const MS_PER_MEMBER_WRONG = 0.3;
/** the kernel counts a lifetime from when it was told */
const ABOUT_TO_END_S = 2;

export function createListLooks({ entries, isKnown, written, counts, nowMs }: ListLooksOptions): ListLooks {
  const readAtMs = new Map<string, number>();

  function isDue({ name, entries: wanted }: TargetSet, standing: number | undefined): boolean {
    if (standing === undefined) return false;
    const sinceMs = nowMs() - (readAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const perMember = standing === wanted.length ? MS_PER_MEMBER : MS_PER_MEMBER_WRONG;
    return sinceMs >= perMember * Math.max(standing, wanted.length);
  }

  return {
    async fresh(target, isAsked) {
      if (!target.sets.some(({ use }) => use === "list")) return target;
      // as they are before anything is waited for: what comes from here on is seen as a change when it is settled
      const before = freshLists(target, entries);
      await written();
      const standing = await counts();
      const sets = before.sets.map((set) => {
        if (set.use !== "list" || !isKnown(set.name)) return set;
        if (!isAsked && !isDue(set, standing.get(set.name))) return set;
        readAtMs.set(set.name, nowMs());
        return { ...set, members: { unsettled: new Set<string>() } };
      });
      return { ...before, sets };
    },

    settle: (target) => ({
      ...target,
      sets: target.sets.map((set) => (set.use === "list" ? settled(set, entries(set.name)) : set)),
    }),
  };
}

function settled(set: TargetSet, now: readonly string[] | undefined): TargetSet {
  if (now === undefined) return { ...set, members: undefined };
  const after = new Set(now.map(elementOf));
  // compared by its number: the fewest that it held at any time meanwhile
  if (set.members === undefined)
    return { ...set, entries: set.entries.filter((entry) => after.has(elementOf(entry))) };
  const unsettled = new Set(set.members.unsettled);
  const before = new Set(set.entries.map(elementOf));
  for (const element of before) if (!after.has(element)) unsettled.add(element);
  for (const element of after) if (!before.has(element)) unsettled.add(element);
  for (const entry of now)
    if ((timeoutOf(entry) || Number.POSITIVE_INFINITY) <= ABOUT_TO_END_S) unsettled.add(elementOf(entry));
  return { ...set, entries: now, members: { unsettled } };
}
