import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import type { QdiscState, TcSnapshot } from "./snapshot.ts";
import { INGRESS_HANDLE } from "./snapshot.ts";

/**
 * Whose is it? tc objects carry no names, so a root qdisc of ours can't be told from another tool's by looking. Whoever
 * knows the manifest that stood before asks here what stands, and decides.
 */

/** The configured root qdisc of a device; undefined where the kernel's default stands. */
export function configuredRoot(snapshot: TcSnapshot, device: string): QdiscState | undefined {
  return snapshot.devices[device]?.qdiscs.find((one) => one.parent === "root");
}

/** Roots on owned devices that the manifest before this one didn't put there: each needs a takeover. */
export function foreignRoots(
  devices: readonly ManifestDevice[],
  before: readonly ManifestDevice[],
  snapshot: TcSnapshot,
): { device: string; root: QdiscState }[] {
  const wasOurs = new Set(before.filter((one) => hasTree(one.egress)).map((one) => one.device));
  return devices.flatMap(({ device, egress }) => {
    const root = configuredRoot(snapshot, device);
    return hasTree(egress) && root !== undefined && !wasOurs.has(device) ? [{ device, root }] : [];
  });
}

/** Ingress hooks of others on devices whose incoming traffic is to be shaped: a clsact, or filters that aren't ours. */
export function foreignIngress(
  devices: readonly ManifestDevice[],
  before: readonly ManifestDevice[],
  snapshot: TcSnapshot,
): { device: string; qdisc: QdiscState }[] {
  const wasOurs = new Set(before.filter((one) => hasTree(one.ingress?.tree)).map((one) => one.device));
  return devices.flatMap(({ device, ingress }) => {
    const qdisc = snapshot.devices[device]?.qdiscs.find((one) => one.handle === INGRESS_HANDLE);
    if (!hasTree(ingress?.tree) || qdisc === undefined) return [];
    return qdisc.kind === "ingress" && wasOurs.has(device) ? [] : [{ device, qdisc }];
  });
}

/**
 * The devices of a manifest together with those it gives back: an egress or ingress that stood in the manifest before
 * and doesn't any more is there with an empty tree, which says: ours, and to be bare.
 */
export function withReleased(
  devices: readonly ManifestDevice[],
  before: readonly ManifestDevice[],
): ManifestDevice[] {
  const next = new Map(devices.map((one) => [one.device, { ...one }]));
  for (const old of before) {
    const device = next.get(old.device) ?? { device: old.device };
    if (old.egress && !device.egress) device.egress = EMPTY_TREE;
    if (old.ingress && !device.ingress) device.ingress = { ifb: old.ingress.ifb, tree: EMPTY_TREE };
    next.set(old.device, device);
  }
  return [...next.values()];
}

const EMPTY_TREE: TcTree = { qdiscs: [], classes: [], filters: [] };

export function hasTree(tree: TcTree | undefined): boolean {
  return tree !== undefined && tree.qdiscs.length > 0;
}
