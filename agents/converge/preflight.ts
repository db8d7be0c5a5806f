import type { Target } from "../drivers/driver.ts";
import type { IptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import { foreignIngress, foreignRoots } from "../drivers/tc/foreign.ts";
import type { TcSnapshot } from "../drivers/tc/snapshot.ts";

/**
 * What is foreign in the live namespace and would be harmed by a change, or would refuse it half-way. Read only.
 * Each text names the thing in the way; none: the way is free.
 */
export type Preflight = (target: Target, before: Target | undefined) => Promise<string[]>;

export function createPreflight(look: {
  iptables(target: Target): Promise<IptablesSnapshot>;
  tc(target: Target): Promise<TcSnapshot>;
}): Preflight {
  return async (target, before) => {
    const [iptables, tc] = await Promise.all([look.iptables(target), look.tc(target)]);
    return [...foreignUses(target, iptables), ...foreignDevices(target, before, tc)];
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

function foreignDevices(target: Target, before: Target | undefined, tc: TcSnapshot): string[] {
  const wasOurs = before?.devices ?? [];
  return [
    ...foreignRoots(target.devices, wasOurs, tc).map(
      ({ device, root }) =>
        `${device} has a root qdisc that isn't ours (${root.kind} ${root.handle}): remove it, or leave the device out`,
    ),
    ...foreignIngress(target.devices, wasOurs, tc).map(
      ({ device, qdisc }) =>
        `${device} has an ingress hook that isn't ours (${qdisc.kind} ${qdisc.handle}): remove it, or leave its ingress out`,
    ),
  ];
}
