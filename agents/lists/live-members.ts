import type { Family } from "@sluice/proto/base/names";
import { createKey } from "@sluice/proto/wire/address-text";
import type { LiveMembers } from "../drivers/driver.ts";
import type { HeldList } from "./held-list.ts";
import { createMembersLook, type MembersLookOptions } from "./members-look.ts";
import { addChunks } from "./set-lines.ts";

/** One family of a list, as the ipset driver asks for it. Everything is as of when it is asked. */
export function liveMembers(
  held: HeldList,
  family: Family,
  { nowMs, written }: Pick<MembersLookOptions, "nowMs" | "written">,
): LiveMembers {
  const table = () => held.state.entries.table(family);
  const skipped = () => held.skipped.table(family);
  const key = createKey();

  function isSkipped(slot: number): boolean {
    if (skipped().size === 0) return false;
    table().read(slot, key);
    return skipped().find(key) !== -1;
  }

  return {
    counts() {
      const [all, out] = [table(), skipped()];
      const fewest = Math.max(0, all.fewestLasting - out.lasting);
      return { all: all.size - out.size, lasting: all.lasting - out.lasting, fewest };
    },
    beginCount: () => table().beginCount(),
    addLines: (set) => addChunks(set, table(), nowMs(), (slot) => !isSkipped(slot)),
    look: createMembersLook({ table, isSkipped, written, nowMs }),
  };
}
