import type { ListEntries } from "../converge/target.ts";
import type { Target } from "../drivers/driver.ts";

/** The target with its lists as they are now: they change without a manifest. */
export function freshLists(target: Target, entries: ListEntries): Target {
  return {
    ...target,
    sets: target.sets.map((set) => (set.use === "list" ? { ...set, entries: entries(set.name) ?? [] } : set)),
  };
}
