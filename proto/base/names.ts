import { sha256Hex } from "./digest.ts";

/**
 * The names Sluice gives to kernel objects. Everything that starts with these prefixes is ours, nothing else is.
 *
 * Chains: `SL-…`, ≤ 28 characters (iptables' own limit). Sets: `sl-…`, ≤ 31 (ipset's own limit).
 * A name that would be too long keeps its beginning and ends in 6 hex digits of its digest.
 */
export const CHAIN_PREFIX = "SL-";
export const SET_PREFIX = "sl-";
export const CHAIN_NAME_MAX = 28;
export const SET_NAME_MAX = 31;

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** The chain that a built-in hook jumps to first. */
export function headChain(hook: string): string {
  return `${CHAIN_PREFIX}${hook}`;
}

/** The chain that a built-in hook jumps to last. */
export function tailChain(hook: string): string {
  return `${CHAIN_PREFIX}${hook}-end`;
}

/** The chain that sets the mark of an accepted packet, where other tools are still to have their say. */
export const ACCEPT_CHAIN = `${CHAIN_PREFIX}accept`;

/** The mark's bit, as iptables writes value and mask. */
export const ACCEPT_MARK = "0x80000000/0x80000000";

/** The chain of filter that Docker gives to the rules of others, and never flushes. FORWARD jumps to it first. */
export const DOCKER_USER = "DOCKER-USER";

/** A policy's own chain, such as `SL-web-edge-ssh`. */
export function policyChain(policy: string, chain: string): string {
  return shorten(`${CHAIN_PREFIX}${policy}-${chain}`, CHAIN_NAME_MAX);
}

/** What a policy's rules in a built-in chain are called that stand after those of others. */
export function afterOthers(hook: string): string {
  return `${hook}-end`;
}

/** A policy's own set. Type and family stand in the name because the kernel can't swap across them. */
export function policySet(policy: string, set: string, type: string, family: Family | null): string {
  const code = type
    .replace(/[^a-z]/g, " ")
    .split(" ")
    .map((word) => word[0] ?? "")
    .join("");
  return shorten(`${SET_PREFIX}${policy}-${set}-${code}${family ?? ""}`, SET_NAME_MAX);
}

/** The set that holds a live list's addresses of one family. */
export function listSet(list: string, family: Family): string {
  return shorten(`${SET_PREFIX}l-${list}-${family}`, SET_NAME_MAX);
}

/** Addresses that nothing may cut off (own, gateways, resolvers, management networks): hash:net. */
export function protectSet(family: Family): string {
  return `${SET_PREFIX}protect-${family}`;
}

/** Control and NATS as address,port: hash:ip,port. Only the connections to them are protected. */
export function controlSet(family: Family): string {
  return `${SET_PREFIX}control-${family}`;
}

/** Where control dials `reach` from: hash:ip. Guards don't count these tries, all other rules judge them. */
export function reachSet(family: Family): string {
  return `${SET_PREFIX}reach-${family}`;
}

/** The set that new content is loaded into before it is swapped in. */
export function temporarySet(name: string): string {
  return `${SET_PREFIX}tmp-${sha256Hex(name).slice(0, 12)}`;
}

/** The IFB device through which a device's incoming traffic is shaped: ≤ 15 characters. */
export function ifbDevice(device: string): string {
  return shorten(`slifb-${device}`, 15);
}

function shorten(name: string, max: number): string {
  return name.length <= max ? name : `${name.slice(0, max - 7)}.${sha256Hex(name).slice(0, 6)}`;
}
