import type { Difference } from "@sluice/proto/manifest/difference";
import {
  type Drivers,
  diffAll,
  readAll,
  renderAll,
  type Snapshots,
  writeScripts,
} from "../converge/kernel.ts";
import type { Standing } from "../converge/parts.ts";
import type { DriverName, Script, Target } from "../drivers/driver.ts";
import type { Namespace } from "../exec/namespace.ts";
import type { Contention } from "./contention.ts";

/**
 * One look at the live kernel, and, where that is wanted, its repair by the same scripts that a change is made of.
 *
 * 1. A difference is what the drivers say against what the rehearsal read back.
 * 2. Repair writes only what differs. What differs and can't be written (a foreign rule before our jump) is told.
 * 3. Objects that another tool keeps changing are left alone, with everything that would be written in one commit with
 *    them; the rest is still repaired.
 * 4. Needs no journal and no confirmation: it leads back to what was confirmed.
 */
export interface Checked {
  /** as found, before any repair */
  differences: Difference[];
  /** what is still there after it */
  left: Difference[];
  /** left alone because another tool keeps changing it */
  contended: string[];
  writes: number;
  /** when the differences were known */
  seenMs: number;
}

export interface CheckParts {
  drivers: Drivers;
  live: Namespace;
  clock: { nowMs(): number };
}

export async function check(
  { drivers: all, live, clock }: CheckParts,
  { target, want }: Pick<Standing, "target" | "want">,
  options: {
    only?: readonly DriverName[] | undefined;
    /** the target again, as of when the kernel was read: lists change while it is */
    settle?: ((target: Target) => Target) | undefined;
    repair?: { contention: Contention } | undefined;
  },
): Promise<Checked> {
  const drivers = all.filter(({ name }) => options.only?.includes(name) ?? true);
  const have = await readAll(drivers, live, target);
  const { differences, target: now } = compare(drivers, target, want, have, options.settle);
  const seenMs = clock.nowMs();
  const nothing: Checked = { seenMs, differences, left: differences, contended: [], writes: 0 };
  if (differences.length === 0 || options.repair === undefined) return nothing;

  const plan = renderAll(drivers, now, want, have);
  const scripts = [...plan.build, ...plan.remove, ...plan.removeSets];
  if (scripts.length === 0) return nothing;
  const touched = differences.filter((one) => scripts.some((script) => touches(script, one)));
  const { contention } = options.repair;
  const { contended } = contention.admit([...new Set(touched.map(({ object }) => object))], seenMs);
  const fought = touched.filter(({ object }) => contended.includes(object));
  const free = scripts.filter((script) => !fought.some((one) => touches(script, one)));
  if (free.length === 0) return { ...nothing, contended };
  await writeScripts(drivers, live, free);
  const { differences: left } = compare(
    drivers,
    now,
    want,
    await readAll(drivers, live, now),
    options.settle,
  );
  return { seenMs, differences, left, contended, writes: free.length };
}

function compare(
  drivers: Drivers,
  target: Target,
  want: Snapshots,
  have: Snapshots,
  settle: ((target: Target) => Target) | undefined,
): { differences: Difference[]; target: Target } {
  const differences = diffAll(drivers, target, want, have);
  if (settle === undefined || !differences.some(({ driver }) => driver === "ipset"))
    return { differences, target };
  const settled = settle(target);
  return { differences: diffAll(drivers, settled, want, have), target: settled };
}

/** A script's `what` begins with the place it writes to (`ip4/filter: …`, `eth0: …`), as objects' names do. */
function touches(script: Script, difference: Difference): boolean {
  if (script.driver !== difference.driver) return false;
  const place = script.what.split(": ")[0] ?? "";
  return script.driver === "ipset" || difference.object.startsWith(`${place}/`);
}
