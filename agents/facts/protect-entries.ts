import type { Family } from "@sluice/proto/base/names";
import { canonicalEntry, parseRange } from "@sluice/proto/policy/addresses";

/** Members of the protect set, per family, in the kernel's own spelling, sorted and distinct. */
export type ProtectEntries = Readonly<Record<Family, readonly string[]>>;

/**
 * What every server needs to reach, whoever it is: multicast carries its neighbours and its routes. Not fe80::/10: from
 * there any neighbour could come in past every rule (docs/decisions/0010).
 */
const ALWAYS = ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"];

/** Loopback is let through by its device; as an address it would also let in what claims to come from there. */
const LOOPBACK = /^(127\.|::1(\/|$))/;

/**
 * Addresses, networks or ranges as any tool prints them. What isn't one (a resolver with a zone, a name) is left out:
 * a wrong word must not keep a server without its protection.
 */
export function protectEntries(addresses: readonly string[]): ProtectEntries {
  const found: Record<Family, Set<string>> = { 4: new Set(), 6: new Set() };
  const add = (address: string) => {
    const canonical = canonicalEntry(address);
    if (canonical !== undefined) found[canonical.family].add(canonical.entry);
  };
  for (const network of ALWAYS) add(network);
  for (const address of addresses.map((one) => one.replace(/%.*$/, "")))
    if (!LOOPBACK.test(address) && !ALWAYS.some((network) => holds(network, address))) add(address);
  return { 4: [...found[4]].sort(), 6: [...found[6]].sort() };
}

function holds(network: string, address: string): boolean {
  const [outer, inner] = [parseRange(network), parseRange(address)];
  if (outer === undefined || inner === undefined || outer.family !== inner.family) return false;
  return outer.first <= inner.first && inner.last <= outer.last;
}

/** Resolvers that a resolv.conf names. */
export function resolversOf(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address]) => address ?? []);
}

/** Gateways of `ip -json route show` lines: plain, of another family (`via`), and one per path. */
export function gatewaysOf(routes: readonly RouteLine[]): string[] {
  return routes.flatMap((route) => [
    ...[route.gateway, route.via?.host].filter((one) => one !== undefined),
    ...gatewaysOf(route.nexthops ?? []),
  ]);
}

export interface RouteLine {
  gateway?: string | undefined;
  via?: { host: string } | undefined;
  nexthops?: RouteLine[] | undefined;
}
