import type { Target } from "../drivers/driver.ts";
import { diffAll, readAll, renderAll, type Snapshots } from "./kernel.ts";
import type { ConvergeParts } from "./parts.ts";
import { named } from "./rehearse.ts";

/**
 * The kernel holds what was rehearsed: read back, nothing is left to write. Old sets wait for confirm, and a foreign
 * rule before our jump is told as drift, not held against the change. Throws with what is wrong.
 */
export async function verify(parts: ConvergeParts, target: Target, want: Snapshots): Promise<void> {
  const have = await readAll(parts.drivers, parts.live, target);
  const left = renderAll(parts.drivers, target, want, have);
  if (left.build.length === 0 && left.remove.length === 0) return;
  throw new Error(
    `after the change the kernel still differs: ${named(diffAll(parts.drivers, target, want, have))}`,
  );
}
