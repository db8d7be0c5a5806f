import type { Family } from "@sluice/proto/base/names";
import { type PacketMatch, type PortRange, product } from "./packet-match.ts";

/**
 * A match as u32 keys. A key compares bits under a mask, so a range of ports becomes several filters, and so does every
 * list. Ports are looked for right behind a header without options, and extension headers of IPv6 aren't followed, as
 * tc's own are.
 */
const VERSION: Readonly<Record<Family, string>> = { 4: "0x40", 6: "0x60" };
const SELECTOR: Readonly<Record<Family, string>> = { 4: "ip", 6: "ip6" };

export function u32Filters(match: PacketMatch): { family: Family; keys: string[] }[] {
  const { protocol, source, destination, sourcePorts, destinationPorts } = match;
  return match.families.flatMap((family) =>
    product([
      protocol === undefined ? [] : [`protocol ${protocol} 0xff`],
      sourcePorts.flatMap(portKeys).map((key) => `sport ${key}`),
      destinationPorts.flatMap(portKeys).map((key) => `dport ${key}`),
      source[family].map((network) => `src ${network}`),
      destination[family].map((network) => `dst ${network}`),
    ]).map((keys) => ({ family, keys: keyWords(family, keys) })),
  );
}

/** The IP version is a key too: one list of filters serves both families, so its handles never depend on the other's. */
function keyWords(family: Family, keys: readonly string[]): string[] {
  const version = ["match", "u8", VERSION[family], "0xf0", "at", "0"];
  return [...version, ...keys.flatMap((key) => ["match", SELECTOR[family], ...key.split(" ")])];
}

/** A range as `value mask` keys: the largest aligned blocks that fill it. */
function portKeys({ from: first, to }: PortRange): string[] {
  const keys: string[] = [];
  let from = first;
  while (from <= to) {
    let size = from === 0 ? 0x10000 : from & -from;
    while (from + size - 1 > to) size /= 2;
    keys.push(`${from} 0x${(0x10000 - size).toString(16).padStart(4, "0")}`);
    from += size;
  }
  return keys;
}
