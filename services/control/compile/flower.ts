import type { Family } from "@sluice/proto/base/names";
import { type PacketMatch, type PortRange, product } from "./packet-match.ts";

/** A match as flower keys: a filter for each of a list; a range of ports is one. */
export function flowerFilters(match: PacketMatch): { family: Family; keys: string[] }[] {
  const { protocol, source, destination, sourcePorts, destinationPorts } = match;
  return match.families.flatMap((family) =>
    product([
      protocol === undefined ? [] : [["ip_proto", protocolName(protocol)]],
      source[family].map((network) => ["src_ip", network]),
      destination[family].map((network) => ["dst_ip", network]),
      sourcePorts.map((range) => ["src_port", portText(range)]),
      destinationPorts.map((range) => ["dst_port", portText(range)]),
    ]).map((keys) => ({ family, keys: keys.flat() })),
  );
}

/** tc takes ports only after one of these names. */
const NAMES: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };

function protocolName(number: number): string {
  return NAMES[number] ?? `0x${number.toString(16)}`;
}

function portText({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}
