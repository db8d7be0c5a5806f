import type { Family } from "@sluice/proto/base/names";
import { createKey } from "@sluice/proto/wire/address-text";
import { ListEntries } from "@sluice/proto/wire/list-entries";
import type { ListState } from "@sluice/proto/wire/list-state";
import { type ProtectedNetworks, protectedNetworks } from "./protected-networks.ts";

/** A list as this server holds it. */
export interface HeldList {
  families: Family[];
  state: ListState;
  /** of control's last word on it; 0: none since the start, and the disk's may be older than the kernel */
  epoch: number;
  /** entries that would block what is protected here: they never go into the kernel */
  skipped: ListEntries;
  /** what was protected when `skipped` was found out */
  protectedBy: readonly string[];
}

export function holdList(families: Family[], state: ListState): HeldList {
  return { families, state, epoch: 0, skipped: new ListEntries(), protectedBy: [] };
}

/** Networks as last asked for: they change with this server's addresses, seldom. */
export interface Protection {
  entries(): readonly string[];
  networks(): ProtectedNetworks;
}

export function createProtection(entries: () => readonly string[]): Protection {
  let known: readonly string[] = [];
  let networks = protectedNetworks(known);
  return {
    entries,
    networks() {
      if (known !== entries()) {
        known = entries();
        networks = protectedNetworks(known);
      }
      return networks;
    },
  };
}

/** Finds out anew which entries would block what is protected, where that may have changed. */
export function refreshSkipped(held: HeldList, protection: Protection): void {
  if (held.protectedBy === protection.entries()) return;
  held.protectedBy = protection.entries();
  held.skipped = new ListEntries();
  const networks = protection.networks();
  const key = createKey();
  for (const family of held.families) {
    const table = held.state.entries.table(family);
    for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) {
      table.read(slot, key);
      if (networks.overlap(family, key)) held.skipped.table(family).set(key, table.untilMs(slot));
    }
  }
}
