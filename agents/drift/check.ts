import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { Difference } from "@sluice/proto/manifest/difference";
import { type Drivers, diffAll, type Snapshots } from "../converge/kernel.ts";
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
 * 4. What can't be read, rendered or written is told as a fault, and keeps nothing else from being mended. What can't be
 *    read is a difference too: nobody knows how it stands.
 * 5. Needs no journal and no confirmation: it leads back to what was confirmed.
 */
export interface Checked {
  /** as found, before any repair */
  differences: Difference[];
  /** what is still there after it */
  left: Difference[];
  /** left alone because another tool keeps changing it */
  contended: string[];
  faults: Fault[];
  writes: number;
  /** when the differences were known */
  seenMs: number;
}

export interface Fault {
  driver: DriverName;
  reason: string;
  /** for what stands there, not for what may have passed a moment later */
  isRefused: boolean;
}

export interface CheckParts {
  drivers: Drivers;
  live: Namespace;
  clock: { nowMs(): number };
}

export interface CheckOptions {
  only?: readonly DriverName[] | undefined;
  repair?: Repair | undefined;
}

export interface Repair {
  contention: Contention;
  /** what can't be read may be written whole, unseen */
  unseen: boolean;
}

export async function check(
  { drivers: all, live, clock }: CheckParts,
  standing: Pick<Standing, "target" | "want">,
  { only, repair }: CheckOptions,
): Promise<Checked> {
  const drivers = all.filter(({ name }) => only?.includes(name) ?? true);
  const look = (target: Target) => lookAt(drivers, live, { ...standing, target });
  const first = await look(standing.target);
  const seenMs = clock.nowMs();
  const nothing: Checked = {
    ...{ seenMs, contended: [], writes: 0 },
    ...{ differences: first.differences, left: first.differences, faults: first.faults },
  };
  if (first.differences.length === 0 || repair === undefined) return nothing;

  const unseen = repair.unseen ? rewritten(drivers, first) : [];
  const written = await writeEach(drivers, live, unseen);
  const found = unseen.length === 0 ? first : await look(first.target);
  const { scripts, faults } = rendered(drivers, standing.want, found);
  const touched = found.differences.filter((one) => scripts.some((script) => touches(script, one)));
  const { contended } = repair.contention.admit([...new Set(touched.map(({ object }) => object))], seenMs);
  const fought = touched.filter(({ object }) => contended.includes(object));
  const free = scripts.filter((script) => !fought.some((one) => touches(script, one)));
  const failed = [...written, ...found.faults, ...faults, ...(await writeEach(drivers, live, free))];
  const writes = unseen.length + free.length;
  if (writes === 0) return { ...nothing, contended, faults: failed };
  const differences = [...first.differences, ...(found === first ? [] : found.differences)];
  const { differences: left } = await look(found.target);
  return { seenMs, differences, left, contended, faults: failed, writes };
}

interface Looked {
  target: Target;
  have: Snapshots;
  differences: Difference[];
  faults: Fault[];
}

async function lookAt(
  drivers: Drivers,
  live: Namespace,
  { target, want }: Pick<Standing, "target" | "want">,
): Promise<Looked> {
  const have = new Map<DriverName, unknown>();
  const faults: Fault[] = [];
  const read = drivers.map(async (driver) => {
    try {
      have.set(driver.name, await driver.read(live, target));
    } catch (error) {
      faults.push(faultOf(driver.name, error));
    }
  });
  await Promise.all(read);
  const seen = drivers.filter(({ name }) => have.has(name));
  const unread = faults.map(
    ({ driver, reason }): Difference => ({ driver, object: driver, kind: "changed", have: [reason] }),
  );
  const differences = diffAll(seen, target, want, have);
  return { target, have, differences: [...differences, ...unread], faults };
}

/** Builds in the drivers' order, removals in reverse; sets go last, when no rule uses them any more. */
function rendered(drivers: Drivers, want: Snapshots, { target, have }: Looked) {
  const scripts: Script[] = [];
  const removals: Script[] = [];
  const faults: Fault[] = [];
  for (const driver of drivers.filter(({ name }) => have.has(name))) {
    const { build, remove, refused } = driver.render(target, want.get(driver.name), have.get(driver.name));
    scripts.push(...build);
    removals.unshift(...remove);
    faults.push(...(refused ?? []).map((reason) => faultOf(driver.name, reason)));
  }
  return { scripts: [...scripts, ...removals], faults };
}

function rewritten(drivers: Drivers, { target, faults }: Looked): Script[] {
  const unread = faults.filter(({ isRefused }) => isRefused).map(({ driver }) => driver);
  return drivers.flatMap((driver) => (unread.includes(driver.name) ? (driver.rewrite?.(target) ?? []) : []));
}

async function writeEach(drivers: Drivers, live: Namespace, scripts: readonly Script[]): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const script of scripts) {
    try {
      await drivers.find(({ name }) => name === script.driver)?.write(live, script);
    } catch (error) {
      faults.push(faultOf(script.driver, error));
    }
  }
  return faults;
}

function faultOf(driver: DriverName, error: unknown): Fault {
  const isRefused = error instanceof SluiceError && error.code === "REFUSED";
  return { driver, reason: messageOf(error), isRefused };
}

/** A script's `what` begins with the place it writes to (`ip4/filter: …`, `eth0: …`), as objects' names do. */
function touches(script: Script, difference: Difference): boolean {
  if (script.driver !== difference.driver) return false;
  const place = script.what.split(": ")[0] ?? "";
  return script.driver === "ipset" || difference.object.startsWith(`${place}/`);
}
