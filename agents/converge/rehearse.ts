import type { Difference } from "@sluice/proto/manifest/difference";
import type { Refusal } from "@sluice/proto/wire/report";
import type { Target } from "../drivers/driver.ts";
import { same } from "../undo/plain-json.ts";
import {
  closeAll,
  type Drivers,
  diffAll,
  readAll,
  renderAll,
  type Snapshots,
  writeScripts,
} from "./kernel.ts";
import type { Before, OpenRoom, Room } from "./parts.ts";
import { refusalOf } from "./refusals.ts";
import { withoutMembers } from "./target.ts";

/**
 * Tries a target on this server's own kernel, where nobody is hurt.
 *
 * 1. In one room it is built from nothing. What the kernel reads back there is what verify and drift compare with: no
 *    spelling of iptables, ipset or tc is known to the agent.
 * 2. In another, what stands now is built, and then changed by the very scripts that will run live: many failures live
 *    only in the transition. It must end as the first one did.
 * 3. What it reads back must be what was asked: a tool may answer that it did, and have done nothing.
 * 4. A refusal carries the kernel's words and the policy's line.
 *
 * A room is furnished and bare, so what is built in it first needs no look; and what stands was read back in a room once
 * before. Each look saved is half a dozen processes.
 *
 * Never write to the live namespace here, and never compare with anything but the first room.
 */
export type Rehearsed = { ok: true; want: Snapshots } | { ok: false; refusal: Refusal };

export interface RehearseParts {
  drivers: Drivers;
  openRoom: OpenRoom;
}

/** What was rehearsed already isn't again: the same content under a new generation costs a look. */
export async function rehearseOnce(
  parts: RehearseParts,
  target: Target,
  before: Before | undefined,
): Promise<Rehearsed> {
  if (before?.want === undefined) return await rehearse(parts, target);
  if (same(withoutMembers(target), before.target)) return { ok: true, want: before.want };
  return await rehearse(parts, target, before);
}

export async function rehearse(
  parts: RehearseParts,
  wanted: Target,
  standing?: Pick<Before, "target"> & Partial<Before>,
): Promise<Rehearsed> {
  // what is claimed of others isn't in a room
  const target = { ...withoutMembers(wanted), takeover: undefined };
  const built = inRoom(parts, target, async (room) => {
    const want = await build(parts.drivers, room, target);
    const left = diffAll(parts.drivers, target, want, want);
    if (left.length > 0) throw new Error(`built from nothing, the kernel doesn't hold ${named(left)}`);
    return want;
  });
  const changed =
    standing === undefined
      ? undefined
      : rehearseChange(parts, { ...standing, target: withoutMembers(standing.target) }, target, built);
  const results = await Promise.allSettled([built, changed]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) return { ok: false, refusal: refusalOf("rehearse", failed.reason) };
  return { ok: true, want: await built };
}

async function rehearseChange(
  parts: RehearseParts,
  before: Pick<Before, "target"> & Partial<Before>,
  target: Target,
  built: Promise<Snapshots>,
): Promise<void> {
  const { drivers } = parts;
  const others = before.target.devices.filter(
    (old) => !target.devices.some(({ device }) => device === old.device),
  );
  const furniture = { devices: [...target.devices, ...others], external: ofBoth(before.target, target) };
  await inRoom(parts, { ...target, ...furniture }, async (room) => {
    await write(drivers, room, before.target);
    const want = await built;
    // read back where the same chains of others stood; another may be the one that ours is to stand in
    const isKnown = same(before.target.external, target.external);
    const known = isKnown ? before.want : undefined;
    const plan = renderAll(drivers, target, want, known ?? (await readAll(drivers, room.at, target)));
    await writeScripts(drivers, room.at, [...plan.build, ...plan.remove, ...plan.removeSets]);
    const left = diffAll(drivers, target, want, await readAll(drivers, room.at, target));
    if (left.length > 0) throw new Error(`the change from what stands now leaves ${named(left)}`);
  });
}

/** Chains and sets of others that either is beside. */
function ofBoth({ external: before }: Target, { external: after }: Target): Target["external"] {
  const isNew = (chain: Target["external"]["chains"][number]) =>
    !after.chains.some((one) => same(one, chain));
  const isNewSet = ({ name }: { name: string }) => !after.sets.some((one) => one.name === name);
  return {
    chains: [...after.chains, ...before.chains.filter(isNew)],
    sets: [...after.sets, ...before.sets.filter(isNewSet)],
  };
}

async function build(drivers: Drivers, room: Room, target: Target): Promise<Snapshots> {
  await write(drivers, room, target);
  return await readAll(drivers, room.at, target);
}

async function write(drivers: Drivers, room: Room, target: Target): Promise<void> {
  const bare = new Map(drivers.map((driver) => [driver.name, driver.bare]));
  await writeScripts(drivers, room.at, renderAll(drivers, target, undefined, bare).build);
}

async function inRoom<T>(parts: RehearseParts, target: Target, work: (room: Room) => Promise<T>): Promise<T> {
  const room = await parts.openRoom(target);
  try {
    return await work(room);
  } finally {
    await closeAll(parts.drivers, room.at);
    await room.close();
  }
}

export function named(differences: readonly Difference[]): string {
  const first = differences.slice(0, 3).map(({ kind, object }) => `${object} ${kind}`);
  const rest = differences.length - first.length;
  return `${first.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
