import type { Family } from "@sluice/proto/base/names";

/** What stands of our sets (`sl-…`). */
export interface IpsetSnapshot {
  sets: ReadonlyMap<string, SetSnapshot>;
}

export interface SetSnapshot {
  name: string;
  type: string;
  family: Family | null;
  /** `create` options beside type and family, as the kernel spells them; without hashsize, which grows by itself */
  options: readonly string[];
  count: number;
  /** rules and sets that use it, ours and foreign */
  references: number;
  /** absent where only the header was read (lists, and sets that aren't wanted) */
  members?: SetMembers | undefined;
  /** of a list: what `live.look` has found is of this reading */
  isReadWhole?: boolean | undefined;
}

/** As the kernel spells them, unordered, counters left out. */
export interface SetMembers {
  /** they stay: compared */
  lasting: readonly string[];
  /** they run out by themselves (`… timeout 17`): put in by rules or by hand, never compared */
  expiring: readonly string[];
}
