import type { ListMembers } from "../converge/target.ts";
import type { Target, TargetSet } from "../drivers/driver.ts";

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
}

export interface ListLooksOptions {
  members: ListMembers;
  isKnown(setName: string): boolean;
  /** Resolves when no delta is on its way into the kernel. */
  written(): Promise<void>;
  /** how many members each set in the kernel has */
  counts(): Promise<ReadonlyMap<string, number>>;
  nowMs(): number;
}

const MS_PER_MEMBER = 3;
const MS_PER_MEMBER_WRONG = 0.3;

export function createListLooks({ members, isKnown, written, counts, nowMs }: ListLooksOptions): ListLooks {
  const readAtMs = new Map<string, number>();

  function isDue({ name }: TargetSet, wanted: number, standing: number | undefined): boolean {
    if (standing === undefined) return false;
    const sinceMs = nowMs() - (readAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const perMember = standing === wanted ? MS_PER_MEMBER : MS_PER_MEMBER_WRONG;
    return sinceMs >= perMember * Math.max(standing, wanted);
  }

  return {
    async fresh(target, isAsked) {
      if (!target.sets.some(({ use }) => use === "list")) return target;
      // as they are before anything is waited for: what comes from here on is known as a change
      const lists = withLists(target, members);
      const wanted = new Map(lists.sets.map(({ name, live }) => [name, live?.counts().all ?? 0]));
      for (const { live } of lists.sets) live?.beginCount();
      await written();
      const standing = await counts();
      const sets = lists.sets.map((set) => {
        if (set.use !== "list" || !isKnown(set.name)) return set;
        if (!isAsked && !isDue(set, wanted.get(set.name) ?? 0, standing.get(set.name))) return set;
        readAtMs.set(set.name, nowMs());
        return { ...set, isReadWhole: true };
      });
      return { ...lists, sets };
    },
  };
}

/** The target with its lists, which change without a manifest. */
export function withLists(target: Target, members: ListMembers): Target {
  return {
    ...target,
    sets: target.sets.map((set) => (set.use === "list" ? { ...set, live: members(set.name) } : set)),
  };
}
