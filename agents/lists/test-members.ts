import type { Family } from "@sluice/proto/base/names";
import { ListEntries } from "@sluice/proto/wire/list-entries";
import { emptyList } from "@sluice/proto/wire/list-state";
import type { LiveMembers } from "../drivers/driver.ts";
import { type HeldList, holdList } from "./held-list.ts";
import { liveMembers } from "./live-members.ts";

/** For tests: a list's set of one family. An entry may carry its lifetime: `192.0.2.1 for 60`, in seconds. */
export function testMembers(
  entries: readonly string[],
  family: Family = 4,
  written: () => Promise<void> = async () => {},
): { live: LiveMembers; held: HeldList; entries: ListEntries } {
  const listed = new ListEntries();
  const nowMs = Date.now();
  for (const text of entries) {
    const [entry = "", , seconds] = text.split(" ");
    const until = seconds === undefined ? undefined : new Date(nowMs + Number(seconds) * 1000).toISOString();
    listed.set(entry, until);
  }
  const held = holdList([family], { ...emptyList(), entries: listed });
  return { live: liveMembers(held, family, { nowMs: () => nowMs, written }), held, entries: listed };
}
