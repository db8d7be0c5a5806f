import type { Difference } from "@sluice/proto/manifest/difference";
import type { Driver, DriverName, Script, Target } from "../drivers/driver.ts";
import type { Namespace } from "../exec/namespace.ts";

/**
 * The three drivers as one: read all, compare all, write all. In the order in which things build on each other: rules
 * refer to sets, filters to marks. What a snapshot looks like is each driver's own affair.
 */
export type Drivers = readonly Driver<unknown>[];
export type Snapshots = ReadonlyMap<DriverName, unknown>;

/** Every script of a change, in the order of writing. */
export interface Plan {
  /** adds and changes: ipset, iptables, tc */
  build: Script[];
  /** takes away what nothing uses any more: tc, iptables */
  remove: Script[];
  /** sets that go. Only after confirm: until then undoing a set is a swap. */
  removeSets: Script[];
}

/** What one driver read, as that driver knows it. */
export function snapshotOf<Snapshot>({ name }: Driver<Snapshot>, snapshots: Snapshots): Snapshot {
  if (!snapshots.has(name)) throw new Error(`${name} was not read`);
  return snapshots.get(name) as Snapshot; // under a driver's name stands only what it read
}

export async function readAll(drivers: Drivers, at: Namespace, target: Target): Promise<Snapshots> {
  const read = drivers.map(async (driver) => [driver.name, await driver.read(at, target)] as const);
  return new Map(await Promise.all(read));
}

export function diffAll(drivers: Drivers, target: Target, want: Snapshots, have: Snapshots): Difference[] {
  return drivers.flatMap((driver) => driver.diff(target, want.get(driver.name), have.get(driver.name)));
}

/** Throws what a driver can't bring about: nothing is to be written then. */
export function renderAll(
  drivers: Drivers,
  target: Target,
  want: Snapshots | undefined,
  have: Snapshots,
): Plan {
  const plan: Plan = { build: [], remove: [], removeSets: [] };
  for (const driver of drivers) {
    const { build, remove, refused } = driver.render(target, want?.get(driver.name), have.get(driver.name));
    const [reason] = refused ?? [];
    if (reason !== undefined) throw reason;
    plan.build.push(...build);
    if (driver.name === "ipset") plan.removeSets.push(...remove);
    else plan.remove.unshift(...remove);
  }
  return plan;
}

/** Writes scripts one after the other; throws ScriptRefused at the first that is refused. */
export async function writeScripts(
  drivers: Drivers,
  at: Namespace,
  scripts: readonly Script[],
): Promise<void> {
  for (const script of scripts) {
    const driver = drivers.find(({ name }) => name === script.driver);
    if (driver === undefined) throw new Error(`no driver is named ${script.driver}`);
    await driver.write(at, script);
  }
}

export async function closeAll(drivers: Drivers, at: Namespace): Promise<void> {
  await Promise.all(drivers.map((driver) => driver.close(at)));
}
