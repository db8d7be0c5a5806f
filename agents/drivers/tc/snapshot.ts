/**
 * What stands in tc, as read from a namespace. Plain data: it can be stored and compared.
 *
 * Objects are kept by structure (kind, place, words); what tc prints beside it and nobody configured (counters,
 * reference counts, the kernel's own numbering) is left out by the parsers.
 */
export interface TcSnapshot {
  /** by name: owned devices, devices that carry an IFB of ours, and the IFBs themselves */
  devices: Readonly<Record<string, DeviceState>>;
}

export interface DeviceState {
  /** false: there is no such device now */
  exists: boolean;
  up: boolean;
  /** every qdisc that somebody configured; the kernel's own (handle `0:`) are not here */
  qdiscs: readonly QdiscState[];
  /** classes that somebody configured; those that a qdisc makes for itself are not here */
  classes: readonly ClassState[];
  filters: readonly FilterState[];
  /** the places that filters occupy, empty ones too: a prio holds filters of one kind and protocol */
  groups: readonly FilterGroup[];
}

export interface QdiscState {
  kind: string;
  handle: string;
  /** `root`, `ingress`, or a class id */
  parent: string;
  words: readonly string[];
}

export interface ClassState {
  kind: string;
  classid: string;
  /** the qdisc's handle, or a class id */
  parent: string;
  words: readonly string[];
}

export interface FilterGroup {
  parent: string;
  protocol: string;
  prio: number;
  kind: string;
}

export interface FilterState extends FilterGroup {
  /** canonical, see ids.ts */
  handle: string;
  /** as the kernel numbered it: what a delete has to say */
  kernelHandle: string;
  words: readonly string[];
}

export const INGRESS_HANDLE = "ffff:";
export const ABSENT: DeviceState = {
  exists: false,
  up: false,
  qdiscs: [],
  classes: [],
  filters: [],
  groups: [],
};
