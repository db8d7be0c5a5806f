import { type Family, listSet } from "@sluice/proto/base/names";
import type { AddressTable } from "@sluice/proto/wire/address-table";
import { createKey } from "@sluice/proto/wire/address-text";
import { addChunks, delChunks, type SetLines } from "./set-lines.ts";

/** An edit costs the kernel what an entry of a new set costs; making one and swapping it in costs about so many. */
const SWAP_EDITS = 64;

/**
 * What brings a set from one table to another: the edits, or, where they are more than the entries, all of it anew.
 * `after` is asked again when the lines are made: a delta may have changed it meanwhile, and comes after them.
 */
export function tableChange(
  list: string,
  family: Family,
  before: AddressTable,
  after: () => AddressTable,
  options: { isSkipped(slot: number, table: AddressTable): boolean; nowMs(): number },
): SetLines[] {
  const set = listSet(list, family);
  const isNew = isOtherIn(before);
  const next = after();
  const isGone = isMissingIn(next);
  const [added, gone] = [
    count(next, (slot) => isNew(slot, next)),
    count(before, (slot) => isGone(slot, before)),
  ];
  if (added + gone === 0) return [];
  const all = { set, count: added + gone, adds: added > 0 };
  if (all.count > next.size + SWAP_EDITS) return [{ ...all, chunks: undefined }];
  return [
    {
      ...all,
      *chunks() {
        const now = after();
        const isGoneNow = isMissingIn(now);
        yield* delChunks(set, before, (slot) => isGoneNow(slot, before));
        yield* addChunks(
          set,
          now,
          options.nowMs(),
          (slot) => isNew(slot, now) && !options.isSkipped(slot, now),
        );
      },
    },
  ];
}

function count(table: AddressTable, wants: (slot: number) => boolean): number {
  let found = 0;
  for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) if (wants(slot)) found++;
  return found;
}

type Picks = (slot: number, table: AddressTable) => boolean;

function isMissingIn(other: AddressTable): Picks {
  const key = createKey();
  return (slot, table) => {
    table.read(slot, key);
    return other.find(key) === -1;
  };
}

/** Missing, or with another end. */
function isOtherIn(other: AddressTable): Picks {
  const key = createKey();
  return (slot, table) => {
    table.read(slot, key);
    const found = other.find(key);
    return found === -1 || other.untilMs(found) !== table.untilMs(slot);
  };
}
