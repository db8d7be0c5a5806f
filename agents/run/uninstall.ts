import { SluiceError } from "@sluice/proto/base/errors";
import { EMPTY_MANIFEST, type ManifestTakeover } from "@sluice/proto/manifest/manifest";
import { parseManifest } from "../converge/take.ts";
import { targetOf } from "../converge/target.ts";
import type { Driver, Target } from "../drivers/driver.ts";
import { createIpsetDriver } from "../drivers/ipset/driver.ts";
import { createIptablesDriver } from "../drivers/iptables/driver.ts";
import { iptablesTool } from "../drivers/iptables/tools.ts";
import { createTcDriver } from "../drivers/tc/driver.ts";
import { readTc } from "../drivers/tc/read.ts";
import type { Namespace } from "../exec/namespace.ts";
import { lockHolder } from "../state/lock.ts";
import { readOr } from "../state/record-file.ts";
import type { StateFolder } from "../state/state-folder.ts";
import { standingTree } from "../takeover/find.ts";
import { giveAllBack, giveBackFirst } from "../takeover/give-back.ts";
import { isQdisc, type Taken } from "../takeover/taken.ts";
import { heldFolder } from "../undo/held-folder.ts";
import { same } from "../undo/plain-json.ts";
import { createRunner } from "../undo/runner.ts";
import { undoFolder } from "../undo/undo-folder.ts";

/**
 * Takes everything of ours out of the kernel, and nothing else: jumps, chains (in both backends), sets, the trees of
 * owned devices, IFBs. A change that is under way is undone first, so that its runner doesn't bring anything back; a boot
 * brings nothing back either. What was taken over is given back, before ours go where its places allow it. Afterwards the
 * agent doesn't start here until it is enrolled anew. Returns what was removed.
 */
export async function uninstall(
  state: StateFolder,
  live: Namespace,
  { env = {}, by }: { env?: Readonly<Record<string, string>>; by?: string } = {},
): Promise<string[]> {
  const holder = lockHolder(state.path);
  if (holder !== undefined) {
    throw new SluiceError("CONFLICT", `the agent (pid ${holder.pid}) still runs`, {
      cure: "stop it first, so that it doesn't put everything back: systemctl stop sluice-agent",
    });
  }
  const undo = undoFolder(state.undo);
  if (undo.outcome() === "pending" && !undo.isConfirmed()) await createRunner({ folder: undo, env }).revert();
  const taken = (await readOr(state.taken, () => undefined)) ?? [];
  const target = await withoutStanding(live, await nothingOf(state), taken);
  const removed = await giveBackFirst(live, taken, await heldClaims(state));
  for (const driver of await driversOf(live)) {
    removed.push(...(await removeAll(driver, live, target)));
    await driver.close(live);
  }
  removed.push(...(await giveAllBack(live, taken)));
  const files = [
    state.taken,
    state.journal,
    state.applied,
    state.previous,
    state.refused,
    state.paused,
    state.hits,
  ];
  for (const file of files) await file.remove();
  await heldFolder(state.held).clear();
  await undo.clear();
  await state.uninstalled.write({ at: new Date().toISOString(), ...(by && { by }) });
  return removed;
}

async function removeAll<Snapshot>(
  driver: Driver<Snapshot>,
  live: Namespace,
  target: Target,
): Promise<string[]> {
  const { remove } = driver.render(target, undefined, await driver.read(live, target));
  for (const script of remove) await driver.write(live, script);
  return remove.map(({ what }) => what);
}

async function heldClaims(state: StateFolder): Promise<readonly ManifestTakeover[]> {
  const stored = await readOr(state.applied, () => undefined);
  const parsed = stored && parseManifest(stored.manifest, stored.digest);
  return parsed?.ok ? (parsed.manifest.takeover ?? []) : [];
}

/** The empty manifest, after those that are held, or were about to be: their devices are to be bare. */
async function nothingOf(state: StateFolder): Promise<Target> {
  const stored = [await readOr(state.applied, () => undefined), await readOr(state.journal, () => undefined)];
  const devices = stored.flatMap((one) => {
    const parsed = one && parseManifest(one.manifest, one.digest);
    return parsed?.ok ? parsed.manifest.devices : [];
  });
  const before = { ...EMPTY_MANIFEST, devices };
  return targetOf(EMPTY_MANIFEST, { protect: [], control: [] }, () => undefined, before);
}

/** Without the trees that were taken over and stand as they did: these are given back by leaving them alone. */
async function withoutStanding(live: Namespace, target: Target, taken: readonly Taken[]): Promise<Target> {
  const have = await readTc(live, target);
  const stands = (device: string) =>
    taken.some((one) => isQdisc(one) && one.device === device && same(one.tree, standingTree(have, device)));
  const devices = target.devices.map(({ egress, ...rest }) => ({
    ...rest,
    ...(egress && !stands(rest.device) && { egress }),
  }));
  return { ...target, devices };
}

/** In the order in which things let go of each other. Looking at legacy tables makes them, so only where there are any. */
async function driversOf(live: Namespace): Promise<Driver<unknown>[]> {
  const drivers: Driver<unknown>[] = [createTcDriver()];
  if (iptablesTool("nft", 4) !== "iptables" || (await isPlain(live, "nf_tables")))
    drivers.push(createIptablesDriver({ backend: "nft" }));
  const legacy = await live.run("cat", ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]);
  if (legacy.stdout.trim() !== "") drivers.push(createIptablesDriver({ backend: "legacy" }));
  return [...drivers, createIpsetDriver()];
}

async function isPlain(live: Namespace, backend: string): Promise<boolean> {
  return (await live.run("iptables", ["--version"])).stdout.includes(backend);
}
