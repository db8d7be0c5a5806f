import type { Family } from "@sluice/proto/base/names";
import { familyOfText } from "./rule-family.ts";
import { optionsOf } from "./rule-options.ts";

/**
 * A match by what stands in the packet itself: protocol, addresses, ports. That is all that filters of tc can see, and
 * all that there is to see of what comes in, which is sorted before any iptables table sees it.
 *
 * Lists become filters of their own (u32.ts, flower.ts), and so does what a kind of filter can't say at once.
 */
export interface PacketMatch {
  families: Family[];
  protocol: number | undefined;
  source: Networks;
  destination: Networks;
  sourcePorts: PortRange[];
  destinationPorts: PortRange[];
}

/** With prefix lengths, by family; empty: any. */
export type Networks = Readonly<Record<Family, readonly string[]>>;

export interface PortRange {
  from: number;
  to: number;
}

export type PacketMatched = { ok: true; match: PacketMatch } | { ok: false; reason: string; found: string };

/** Beyond this a rule isn't a rule any more, but a list. */
export const FILTERS_MAX = 256;

const PROTOCOLS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    icmp: 1,
    tcp: 6,
    udp: 17,
    gre: 47,
    esp: 50,
    ah: 51,
    icmpv6: 58,
    "ipv6-icmp": 58,
    sctp: 132,
  }),
);
const ICMP = 1;
const ICMPV6 = 58;
const MATCH_MODULES = new Set(["tcp", "udp", "sctp", "multiport"]);
const ANY: Networks = { 4: [], 6: [] };
const KNOWN = "-p, -s, -d, --sport, --dport, -m multiport --sports and --dports, without `!`";

/** `seen` begins its messages: `an ingress class`. */
export function packetMatch(
  words: readonly string[],
  explicit: Family | undefined,
  seen: string,
): PacketMatched {
  const match = {
    protocol: undefined as number | undefined,
    source: ANY,
    destination: ANY,
    sourcePorts: [] as PortRange[],
    destinationPorts: [] as PortRange[],
  };
  const families = new Set<Family>(explicit === undefined ? [4, 6] : [explicit]);
  const onlyKnown = `${seen} can match only ${KNOWN}`;
  let covered = 0;

  for (const { name, value, negated, at } of optionsOf(words)) {
    const wrong = (reason: string): PacketMatched => ({
      ok: false,
      reason,
      found: `${words[at - 1]} ${value ?? ""}`.trim(),
    });
    if (negated || value === undefined || value === "!" || value.startsWith("-")) return wrong(onlyKnown);
    covered += 2;
    switch (name) {
      case "--match":
        if (!MATCH_MODULES.has(value)) return wrong(onlyKnown);
        break;
      case "--protocol":
        match.protocol = protocolNumber(value);
        if (match.protocol === undefined) return wrong(`${seen} can't match this protocol`);
        if (match.protocol === ICMP) families.delete(6);
        if (match.protocol === ICMPV6) families.delete(4);
        break;
      case "--source":
      case "--destination": {
        const networks = networksOf(value);
        if (networks === undefined) return wrong(`${seen} matches addresses with a prefix length`);
        for (const family of [4, 6] as const) if (networks[family].length === 0) families.delete(family);
        match[name === "--source" ? "source" : "destination"] = networks;
        break;
      }
      case "--source-port":
      case "--destination-port":
      case "--source-ports":
      case "--destination-ports": {
        const ranges = value.split(",").map(portRange);
        const known = ranges.filter((range) => range !== undefined);
        if (known.length < ranges.length) return wrong(`${seen} matches ports by number`);
        match[name.startsWith("--source") ? "sourcePorts" : "destinationPorts"] = known;
        break;
      }
      default:
        return wrong(onlyKnown);
    }
  }
  const found = words.join(" ");
  if (covered !== words.length) return { ok: false, reason: onlyKnown, found };
  if (families.size === 0) return { ok: false, reason: "this match fits neither IPv4 nor IPv6", found };
  return { ok: true, match: { ...match, families: [...families] } };
}

/** Every way to take one of each; a choice that isn't made is left out. */
export function product<T>(choices: readonly (readonly T[])[]): T[][] {
  return choices
    .filter((some) => some.length > 0)
    .reduce<T[][]>((made, some) => made.flatMap((keys) => some.map((key) => [...keys, key])), [[]]);
}

function protocolNumber(text: string): number | undefined {
  const number = PROTOCOLS.get(text.toLowerCase()) ?? (/^\d{1,3}$/.test(text) ? Number(text) : undefined);
  return number === undefined || number > 255 ? undefined : number;
}

function networksOf(text: string): Networks | undefined {
  const networks: Record<Family, string[]> = { 4: [], 6: [] };
  for (const one of text.split(",")) {
    const family = familyOfText(one);
    if (family === undefined || !/^[0-9a-fA-F.:]+(\/\d{1,3})?$/.test(one)) return undefined;
    networks[family].push(one.includes("/") ? one : `${one}/${family === 4 ? 32 : 128}`);
  }
  return networks;
}

/** A port, or a range `1000:1010`. */
function portRange(text: string): PortRange | undefined {
  const found = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
  if (found === null) return undefined;
  const from = Number(found[1]);
  const to = Number(found[2] ?? found[1]);
  return from > to || to > 0xffff ? undefined : { from, to };
}
