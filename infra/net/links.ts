/** What devices are made of, as lines for `configure`. */

/** A bridge that forwards from the first packet on. */
export function bridgeLines(name: string): string[] {
  return [`link add ${name} type bridge forward_delay 0 mcast_snooping 0`, `link set ${name} up`];
}

export interface VethPair {
  /** The end in the namespace where the lines are run. */
  near: string;
  /** The other end, made directly in its own namespace. */
  far: string;
  farNamespace: string;
  /** Bridge of the near end's namespace that the near end joins. */
  bridge?: string;
}

/** A pair of devices, both ends down until `linkUpLines`. */
export function vethPairLines(pair: VethPair): string[] {
  const made = `link add ${pair.near} type veth peer name ${pair.far} netns ${pair.farNamespace}`;
  return pair.bridge ? [made, `link set ${pair.near} master ${pair.bridge}`] : [made];
}

/**
 * Brings a device up. Without offload each packet that leaves is one frame, as on a real wire: with it a shaped class
 * sees 64 KiB packets and lets through more than its rate (228 kbit where 200 were meant, measured).
 */
export function linkUpLines(device: string, offload: boolean): string[] {
  return [`link set ${device} up${offload ? "" : " gso_max_segs 1"}`];
}

/** IPv6 addresses skip duplicate detection, so that they work at once. */
export function addressLine(device: string, cidr: string): string {
  return `addr add ${cidr} dev ${device}${cidr.includes(":") ? " nodad" : ""}`;
}

/** A route without a gateway: every address is asked for on the wire itself. */
export function onLinkRouteLine(device: string, cidr: string): string {
  return `route add ${cidr} dev ${device}`;
}

export function gatewayRouteLine(gateway: string, cidr: string): string {
  return `route add ${cidr} via ${gateway}`;
}
