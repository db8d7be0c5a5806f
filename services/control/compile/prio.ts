import type { PrioClass } from "@sluice/proto/policy/document";

/** One for each of the priorities that a packet's own type of service can come to. */
const PRIORITIES = 16;

/**
 * A band for each class. Packets that no class matches go to the default one, else to the last: what a packet says of
 * itself would put some of them first.
 */
export function prioArgs(classes: readonly PrioClass[]): string[] {
  const fallback = classes.findIndex(({ isDefault }) => isDefault);
  const band = String(fallback < 0 ? classes.length - 1 : fallback);
  return ["bands", String(classes.length), "priomap", ...Array<string>(PRIORITIES).fill(band)];
}
