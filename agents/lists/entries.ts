import { listSet } from "@sluice/proto/base/names";
import type { ListEntry } from "@sluice/proto/wire/list";
import type { ListState } from "@sluice/proto/wire/list-state";

/** The longest lifetime the kernel takes, in seconds (ipset counts in milliseconds in 31 bits). */
const TIMEOUT_MAX_S = 2_147_483;

/** Seconds an entry still has: 0 means for ever (as ipset says it), undefined that its time is over. */
export function remainingSeconds(until: string | undefined, nowMs: number): number | undefined {
  if (until === undefined) return 0;
  const seconds = Math.ceil((Date.parse(until) - nowMs) / 1000);
  return seconds > 0 ? Math.min(seconds, TIMEOUT_MAX_S) : undefined;
}

export function familyOfEntry(entry: string): 4 | 6 {
  return entry.includes(":") ? 6 : 4;
}

/** A list's living entries of one family, as `ipset add SET …` takes them. */
export function setEntries(state: ListState, family: 4 | 6, nowMs: number): string[] {
  const entries: string[] = [];
  for (const [entry, until] of state.entries) {
    if (familyOfEntry(entry) !== family) continue;
    const seconds = remainingSeconds(until, nowMs);
    if (seconds !== undefined) entries.push(`${entry} timeout ${seconds}`);
  }
  return entries;
}

/** The lines that bring a change into the list's sets. Each may be repeated: `-exist` makes it say the same again. */
export function changeLines(
  list: string,
  families: readonly (4 | 6)[],
  add: readonly ListEntry[],
  del: readonly string[],
  nowMs: number,
): string[] {
  const lines: string[] = [];
  for (const entry of del) {
    const family = familyOfEntry(entry);
    if (families.includes(family)) lines.push(`del -exist ${listSet(list, family)} ${entry}`);
  }
  for (const { entry, until } of add) {
    const family = familyOfEntry(entry);
    const seconds = remainingSeconds(until, nowMs);
    if (!families.includes(family)) continue;
    if (seconds === undefined) lines.push(`del -exist ${listSet(list, family)} ${entry}`);
    else lines.push(`add -exist ${listSet(list, family)} ${entry} timeout ${seconds}`);
  }
  return lines;
}

/** What must change for `before` to hold what `after` holds. */
export function listChange(before: ListState, after: ListState): { add: ListEntry[]; del: string[] } {
  const add: ListEntry[] = [];
  const del: string[] = [];
  for (const [entry, until] of after.entries) {
    if (!before.entries.has(entry) || before.entries.get(entry) !== until) add.push({ entry, until });
  }
  for (const entry of before.entries.keys()) if (!after.entries.has(entry)) del.push(entry);
  return { add, del };
}
