import type { ManifestDevice, Origin, TcTree } from "@sluice/proto/manifest/manifest";
import { canonicalFilterHandle, canonicalId, qdiscOf } from "./ids.ts";
import type {
  ClassState,
  DeviceState,
  FilterGroup,
  FilterState,
  QdiscState,
  TcSnapshot,
} from "./snapshot.ts";
import { ABSENT, INGRESS_HANDLE } from "./snapshot.ts";

/**
 * A side: one place where a tree hangs, as it is wanted, as a rehearsal read it back, and as it is.
 *
 *   eth0 egress          the tree of `egress`; absent in the manifest: not ours, never looked at
 *   slifb-eth0 egress    the tree of `ingress`, on our IFB device
 *   eth0 ingress         the ingress qdisc and the one filter that sends everything to that IFB; other filters on it
 *                        are foreign, and so is the qdisc while it has any
 *
 * An `egress` with an empty tree says: ours, and to be bare. That is how a device is given back (see released.ts).
 */
export interface Side {
  device: string;
  at: "egress" | "ingress";
  target: TcTree;
  want: Objects | undefined;
  have: Objects;
  /** the IFB that has to stand before this side is built, or goes with it */
  ifb?: string | undefined;
}

export interface Objects {
  qdiscs: readonly QdiscState[];
  classes: readonly ClassState[];
  filters: readonly FilterState[];
  groups: readonly FilterGroup[];
}

const EMPTY_TREE: TcTree = { qdiscs: [], classes: [], filters: [] };
export const IFB_PREFIX = "slifb-";

/** Every side that is ours, in the order in which they are built: an IFB's tree before what is sent to it. */
export function sidesOf(
  devices: readonly ManifestDevice[],
  want: TcSnapshot | undefined,
  have: TcSnapshot,
): Side[] {
  const sides: Side[] = [];
  for (const device of devices) {
    if (device.egress !== undefined) sides.push(egressSide(device.device, device.egress, want, have));
    if (device.ingress === undefined) continue;
    const { ifb, tree } = device.ingress;
    const redirect = redirectTree(ifb, tree.qdiscs[0]?.origin);
    sides.push({ ...egressSide(ifb, tree, want, have), ifb });
    sides.push({
      ...ingressSide(device.device, tree.qdiscs.length > 0 ? redirect : EMPTY_TREE, redirect, want, have),
      ifb,
    });
  }
  return [...sides, ...leftoverSides(sides, want, have)];
}

/** IFBs and redirects of ours (by name) that the target doesn't know any more. */
function leftoverSides(known: readonly Side[], want: TcSnapshot | undefined, have: TcSnapshot): Side[] {
  const sides: Side[] = [];
  for (const [name, state] of Object.entries(have.devices)) {
    const isKnown = known.some((side) => side.device === name && side.at === "ingress");
    if (!isKnown && state.filters.some(sendsToOurs))
      sides.push(ingressSide(name, EMPTY_TREE, EMPTY_TREE, want, have));
    if (name.startsWith(IFB_PREFIX) && state.exists && !known.some((side) => side.ifb === name))
      sides.push({ ...egressSide(name, EMPTY_TREE, want, have), ifb: name });
  }
  return sides;
}

/** The target's objects under the keys and in the spelling of a snapshot's. */
export function canonicalTree(tree: TcTree): TcTree {
  return {
    qdiscs: tree.qdiscs.map((qdisc) => ({
      ...qdisc,
      parent: canonicalId(qdisc.parent),
      handle: canonicalId(qdisc.handle),
    })),
    classes: tree.classes.map((one) => ({
      ...one,
      parent: one.parent === "root" ? qdiscOf(one.classid) : canonicalId(one.parent),
      classid: canonicalId(one.classid),
    })),
    filters: tree.filters.map((filter) => ({
      ...filter,
      parent: canonicalId(filter.parent),
      handle: canonicalFilterHandle(filter.kind, filter.handle),
    })),
  };
}

/** Where a filter stands; its handle is only unique in there. */
export function filterKey(filter: { parent: string; prio: number; handle: string }): string {
  return `${filter.parent}/${filter.prio}/${filter.handle}`;
}

function egressSide(device: string, tree: TcTree, want: TcSnapshot | undefined, have: TcSnapshot): Side {
  return {
    device,
    at: "egress",
    target: canonicalTree(tree),
    want: want && egressObjects(want.devices[device] ?? ABSENT),
    have: egressObjects(have.devices[device] ?? ABSENT),
  };
}

/** `ours` names the filters that are ours wherever they send to: the IFB may have been deleted under them. */
function ingressSide(
  device: string,
  tree: TcTree,
  ours: TcTree,
  want: TcSnapshot | undefined,
  have: TcSnapshot,
): Side {
  const isWanted = tree.qdiscs.length > 0;
  const keys = new Set(ours.filters.map(filterKey));
  return {
    device,
    at: "ingress",
    target: tree,
    want: want && ingressObjects(want.devices[device] ?? ABSENT, keys, isWanted),
    have: ingressObjects(have.devices[device] ?? ABSENT, keys, isWanted),
  };
}

function egressObjects(state: DeviceState): Objects {
  const isEgress = (filter: FilterGroup) => filter.parent !== INGRESS_HANDLE;
  return {
    qdiscs: state.qdiscs.filter((qdisc) => qdisc.handle !== INGRESS_HANDLE),
    classes: state.classes,
    filters: state.filters.filter(isEgress),
    groups: state.groups.filter(isEgress),
  };
}

/** The filters that are ours, and the ingress qdisc if it is wanted or nobody else uses it. */
function ingressObjects(state: DeviceState, keys: ReadonlySet<string>, isWanted: boolean): Objects {
  const all = state.filters.filter((filter) => filter.parent === INGRESS_HANDLE);
  const filters = all.filter((filter) => keys.has(filterKey(filter)) || sendsToOurs(filter));
  const isOursAlone = filters.length > 0 && filters.length === all.length;
  return {
    qdiscs: state.qdiscs.filter((qdisc) => qdisc.kind === "ingress" && (isWanted || isOursAlone)),
    classes: [],
    filters,
    groups: state.groups.filter((group) =>
      filters.some((filter) => filter.parent === group.parent && filter.prio === group.prio),
    ),
  };
}

function sendsToOurs(filter: FilterState): boolean {
  return filter.words.some(
    (word, index) => filter.words[index - 1] === "device" && word.startsWith(IFB_PREFIX),
  );
}

function redirectTree(ifb: string, origin: Origin | undefined): TcTree {
  return {
    qdiscs: [{ parent: "ingress", handle: INGRESS_HANDLE, kind: "ingress", args: [], origin }],
    classes: [],
    filters: [
      {
        parent: INGRESS_HANDLE,
        protocol: "all",
        prio: 1,
        handle: "::1",
        kind: "u32",
        args: ["match", "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", ifb],
        origin,
      },
    ],
  };
}
