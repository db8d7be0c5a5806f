import { qdiscOf } from "./ids.ts";
import { isRootPlace, leavesFirst } from "./order.ts";
import type { Objects } from "./sides.ts";
import { filterKey } from "./sides.ts";
import type { ClassState, FilterGroup, FilterState, QdiscState } from "./snapshot.ts";

/**
 * What has to be deleted, and what goes with it.
 *
 * 1. A qdisc takes its classes and filters along; a class its children, its leaf and the filters that hang on it.
 * 2. A class can't go while a filter sends to it: such filters are deleted first, and made again if they are wanted.
 * 3. Only the top of what goes is deleted by a line of its own; classes under a qdisc that stays go leaf first.
 */
export interface Doomed {
  /** keys of everything that will be gone */
  qdiscs: ReadonlySet<string>;
  classes: ReadonlySet<string>;
  filters: ReadonlySet<string>;
}

export interface Deletions {
  groups: FilterGroup[];
  filters: FilterState[];
  qdiscs: QdiscState[];
  classes: ClassState[];
}

export function spread(have: Objects, seeds: Doomed): Doomed {
  const qdiscs = new Set(seeds.qdiscs);
  const classes = new Set(seeds.classes);
  const filters = new Set(seeds.filters);
  const goes = (parent: string) => classes.has(parent) || qdiscs.has(qdiscOf(parent));
  let size = -1;
  while (size !== qdiscs.size + classes.size) {
    size = qdiscs.size + classes.size;
    for (const one of have.classes) if (goes(one.parent)) classes.add(one.classid);
    for (const one of have.qdiscs) if (!isRootPlace(one.parent) && goes(one.parent)) qdiscs.add(one.handle);
  }
  for (const one of have.filters)
    if (goes(one.parent) || classes.has(classOf(one) ?? "")) filters.add(filterKey(one));
  return { qdiscs, classes, filters };
}

export function deletionsOf(have: Objects, doomed: Doomed): Deletions {
  const staysUnder = (parent: string) => !doomed.qdiscs.has(qdiscOf(parent));
  const isGoing = (one: FilterState) => doomed.filters.has(filterKey(one));
  const members = Map.groupBy(
    have.filters.filter((one) => staysUnder(one.parent)),
    placeOf,
  );
  const isEmptied = (group: FilterGroup) => (members.get(placeOf(group)) ?? []).every(isGoing);
  return {
    groups: have.groups.filter((group) => staysUnder(group.parent) && isEmptied(group)),
    filters: [...members.values()].flatMap((some) => (some.every(isGoing) ? [] : some.filter(isGoing))),
    qdiscs: have.qdiscs.filter((one) => {
      if (!doomed.qdiscs.has(one.handle)) return false;
      return isRootPlace(one.parent) || (!doomed.classes.has(one.parent) && staysUnder(one.parent));
    }),
    classes: leavesFirst(
      have.classes.filter((one) => doomed.classes.has(one.classid) && staysUnder(one.classid)),
    ),
  };
}

/** The class that a filter sends to. */
function classOf(filter: FilterState): string | undefined {
  const at = filter.words.findIndex((word) => word === "flowid" || word === "classid");
  return at < 0 ? undefined : filter.words[at + 1];
}

function placeOf({ parent, prio }: FilterGroup): string {
  return `${parent} ${prio}`;
}
