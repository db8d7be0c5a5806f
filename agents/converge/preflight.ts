import type { Driver, Target } from "../drivers/driver.ts";
import { claimedOf, claimsIn, holdClaimed } from "../drivers/iptables/claims.ts";
import type { IptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import { foreignIngress, foreignRoots, hasTree } from "../drivers/tc/foreign.ts";
import type { TcSnapshot } from "../drivers/tc/snapshot.ts";
import { type Snapshots, snapshotOf } from "./kernel.ts";

/**
 * What is foreign in the live namespace, as it was just read, and would be harmed by a change, or would refuse it half-way.
 * Each text names the thing in the way; none: the way is free.
 */
export type Preflight = (target: Target, before: Target | undefined, have: Snapshots) => string[];

export function createPreflight(drivers: {
  iptables: Driver<IptablesSnapshot>;
  tc: Driver<TcSnapshot>;
}): Preflight {
  return (target, before, have) => {
    const iptables = snapshotOf(drivers.iptables, have);
    const tc = snapshotOf(drivers.tc, have);
    return [
      ...foreignUses(target, iptables),
      ...heldClaims(target, iptables),
      ...absentDevices(target, tc),
      ...foreignDevices(target, before, tc),
    ];
  };
}

/** Foreign rules that use a chain or a set of ours that is about to go: the kernel would refuse to let it go. */
function foreignUses(target: Target, { tables }: IptablesSnapshot): string[] {
  const reasons: string[] = [];
  for (const { family, table, chains, foreignUses: uses } of tables.values()) {
    const stays = new Set([
      ...target.sets.map(({ name }) => name),
      ...target.chains.filter((one) => one.family === family && one.table === table).map(({ name }) => name),
    ]);
    for (const { chain, rule, uses: used } of uses) {
      if (stays.has(used)) continue;
      const what = chains.has(used) ? "chain" : "set";
      reasons.push(
        `${what} ${used} is to go, but a rule that isn't ours uses it: ip${family}/${table} ${chain}: ${rule}`,
      );
    }
  }
  return reasons;
}

/** Rules of others that would keep a claimed chain from going. */
function heldClaims({ takeover = [] }: Target, { tables }: IptablesSnapshot): string[] {
  return [...tables.values()].flatMap((table) => {
    const claimed = claimedOf(claimsIn(takeover, table.family, table.table), table);
    const holding = claimed === undefined ? [] : holdClaimed(claimed, table);
    return holding.map(
      ({ chain, rule }) =>
        `ip${table.family}/${table.table} ${chain} isn't claimed, and its rule leads to a chain that is: ${rule}`,
    );
  });
}

/** What can't be built, because what it is to stand on isn't there. */
function absentDevices(target: Target, tc: TcSnapshot): string[] {
  return target.devices
    .filter(({ egress, ingress }) => hasTree(egress) || hasTree(ingress?.tree))
    .filter(({ device }) => tc.devices[device]?.exists !== true)
    .map(({ device }) => `${device} isn't there: bring it up, or leave it out`);
}

function foreignDevices(target: Target, before: Target | undefined, tc: TcSnapshot): string[] {
  const wasOurs = before?.devices ?? [];
  const isClaimed = (device: string) =>
    target.takeover?.some((one) => one.what === "qdisc" && one.device === device) ?? false;
  return [
    ...foreignRoots(target.devices, wasOurs, tc)
      .filter(({ device }) => !isClaimed(device))
      .map(
        ({ device, root }) =>
          `${device} has a root qdisc that isn't ours (${root.kind} ${root.handle}): remove it, leave the device out, or claim it by takeover: [{ qdisc: ${device} }]`,
      ),
    ...foreignIngress(target.devices, wasOurs, tc).map(
      ({ device, qdisc }) =>
        `${device} has an ingress hook that isn't ours (${qdisc.kind} ${qdisc.handle}): remove it, or leave its ingress out`,
    ),
  ];
}
