import ipaddr from "ipaddr.js";
import type { Family } from "../base/names.ts";

/**
 * Addresses, networks and ranges as people write them, and the one form in which Sluice keeps them: the kernel's own.
 *
 * 1. Strict: four decimal parts without leading zeros, or IPv6 without zone and brackets. Names are no addresses.
 * 2. Canonical: IPv6 as inet_ntop prints it, host bits of a network cleared, `/32` and `/128` left out, a range that is
 *    exactly one network written as that network. Equal sets of addresses have equal text.
 */
export interface AddressRange {
  family: Family;
  first: bigint;
  last: bigint;
}

export interface CanonicalEntry {
  entry: string;
  family: Family;
}

const BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

/** The canonical form of an address, a network or a range; undefined where the text is none of them. */
export function canonicalEntry(text: string): CanonicalEntry | undefined {
  const range = parseRange(text);
  return range && { entry: formatRange(range), family: range.family };
}

/** The family of an address, a network or a range; undefined where the text is none of them. */
export function familyOfAddress(text: string): Family | undefined {
  return parseRange(text)?.family;
}

/** `a`, `a/prefix`, `a/mask` (IPv4) or `a-b` with a ≤ b. Host bits of a network are dropped, as the kernel does. */
export function parseRange(text: string): AddressRange | undefined {
  const dash = text.indexOf("-");
  if (dash >= 0) {
    const from = parseAddress(text.slice(0, dash));
    const to = parseAddress(text.slice(dash + 1));
    if (from === undefined || to === undefined || from.family !== to.family || from.value > to.value)
      return undefined;
    return { family: from.family, first: from.value, last: to.value };
  }
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const { family, value } = address;
  const prefix = slash < 0 ? BITS[family] : parsePrefix(text.slice(slash + 1), family);
  if (prefix === undefined) return undefined;
  const hosts = hostMask(prefix, family);
  return { family, first: value & ~hosts, last: value | hosts };
}

const MAPPED = { first: 0xffff_0000_0000n, last: 0xffff_ffff_ffffn };

/**
 * The IPv4 text of what is written as an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, as dual-stack services log their
 * clients). No packet carries one: the client itself speaks IPv4, so a rule or a set with it would never match.
 */
export function mappedIpv4({ family, first, last }: AddressRange): string | undefined {
  if (family !== 6 || first < MAPPED.first || last > MAPPED.last) return undefined;
  if (first === MAPPED.first && last === MAPPED.last) return undefined; // all of them: a rule against forgery
  return formatRange({ family: 4, first: first - MAPPED.first, last: last - MAPPED.first });
}

/** One address: its family and its bits as a number. */
export function parseAddress(text: string): { family: Family; value: bigint } | undefined {
  if (isIpv4(text)) return { family: 4, value: ipv4Value(text) };
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(":")) return undefined;
  const plain = withoutDottedTail(text);
  if (plain === undefined || !ipaddr.IPv6.isValid(plain)) return undefined;
  return { family: 6, value: bytesValue(ipaddr.IPv6.parse(plain).toByteArray()) };
}

export function formatRange({ family, first, last }: AddressRange): string {
  const from = formatAddress(family, first);
  if (first === last) return from;
  const prefix = prefixOf({ family, first, last });
  return prefix === undefined ? `${from}-${formatAddress(family, last)}` : `${from}/${prefix}`;
}

/** The prefix length of a range that is exactly one network; undefined where it takes more than one. */
export function prefixOf({ family, first, last }: AddressRange): number | undefined {
  const size = last - first + 1n;
  const hostBits = size.toString(2).length - 1;
  return size === 1n << BigInt(hostBits) && first % size === 0n ? BITS[family] - hostBits : undefined;
}

/** The fewest networks that cover exactly this range, in order. */
export function networksOf({ family, first, last }: AddressRange): string[] {
  const networks: string[] = [];
  for (let next = first; next <= last; ) {
    const size = networkSizeAt(next, last);
    networks.push(formatRange({ family, first: next, last: next + size - 1n }));
    next += size;
  }
  return networks;
}

/** The largest power of two that `first` is a multiple of and that ends at `last` at the latest. */
function networkSizeAt(first: bigint, last: bigint): bigint {
  const fits = 1n << BigInt((last - first + 1n).toString(2).length - 1);
  const aligned = first & -first;
  return first === 0n || fits < aligned ? fits : aligned;
}

export function formatAddress(family: Family, value: bigint): string {
  return family === 4 ? formatIpv4(value) : formatIpv6(value);
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** As inet_ntop: the first longest run of two or more zero groups is `::`; mapped addresses end in dotted decimals. */
function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  const run = longestZeroRun(groups);
  const isDotted = run.start === 0 && (run.length === 6 || (run.length === 5 && groups[5] === 0xffff));
  const words = groups.map((group) => group.toString(16));
  if (isDotted) words.splice(6, 2, formatIpv4(value & 0xffffffffn));
  if (run.length < 2) return words.join(":");
  return `${words.slice(0, run.start).join(":")}::${words.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** A prefix length, or a contiguous IPv4 mask. */
function parsePrefix(text: string, family: Family): number | undefined {
  if (/^(0|[1-9]\d{0,2})$/.test(text)) return Number(text) <= BITS[family] ? Number(text) : undefined;
  if (family === 6 || !isIpv4(text)) return undefined;
  return ipaddr.IPv4.parse(text).prefixLengthFromSubnetMask() ?? undefined;
}

function hostMask(prefix: number, family: Family): bigint {
  return (1n << BigInt(BITS[family] - prefix)) - 1n;
}

function isIpv4(text: string): boolean {
  return /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text) && ipaddr.IPv4.isValid(text);
}

function ipv4Value(text: string): bigint {
  return bytesValue(ipaddr.IPv4.parse(text).toByteArray());
}

function bytesValue(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** `::1.2.3.4` → `::102:304`. ipaddr.js takes every such address for a mapped one, which it need not be. */
function withoutDottedTail(text: string): string | undefined {
  if (!text.includes(".")) return text;
  const cut = text.lastIndexOf(":") + 1;
  const tail = text.slice(cut);
  if (!isIpv4(tail)) return undefined;
  const value = ipv4Value(tail);
  return `${text.slice(0, cut)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}
