import type { ClassTree } from "@sluice/proto/policy/document";

/** One for each of the priorities that a packet's own type of service can come to. */
const PRIORITIES = 16;

type PrioTree = Extract<ClassTree, { kind: "prio" }>;

/**
 * A band for each class. Packets that no class matches go to the default one, else to the last: what a packet says of
 * itself would put some of them first, and does so where the policy says the `priomap`.
 */
export function prioArgs({ classes, priomap }: PrioTree): string[] {
  const fallback = classes.findIndex(({ isDefault }) => isDefault);
  const band = fallback < 0 ? classes.length - 1 : fallback;
  const bands = (priomap ?? Array<number>(PRIORITIES).fill(band)).map(String);
  return ["bands", String(classes.length), "priomap", ...bands];
}
