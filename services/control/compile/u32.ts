import type { Family } from "@sluice/proto/base/names";
import { familyOfText } from "./rule-family.ts";
import { optionsOf } from "./rule-options.ts";

/**
 * A match of an ingress class as u32 keys. What comes in is shaped on an IFB before any iptables table sees it, so only
 * what stands in the packet itself can be matched: protocol, addresses, ports.
 *
 * A u32 key compares bits under a mask, so a range of ports becomes several filters, and so does every list. Ports are
 * looked for right behind a header without options, and extension headers of IPv6 aren't followed, as tc's own are.
 */
export type U32Match =
  | { ok: true; filters: { family: Family; keys: string[] }[] }
  | { ok: false; reason: string; found: string };

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
const VERSION: Readonly<Record<Family, string>> = { 4: "0x40", 6: "0x60" };
const SELECTOR: Readonly<Record<Family, string>> = { 4: "ip", 6: "ip6" };
const MATCH_MODULES = new Set(["tcp", "udp", "sctp", "multiport"]);
const KNOWN = "-p, -s, -d, --sport, --dport, -m multiport --sports and --dports, without `!`";

/** Beyond this a rule isn't a rule any more, but a list. */
const FILTERS_MAX = 256;

export function u32Match(words: readonly string[], explicit: Family | undefined): U32Match {
  const choices: string[][] = [];
  const byFamily: { field: string; texts: string[] }[] = [];
  const families = new Set<Family>(explicit === undefined ? [4, 6] : [explicit]);
  let covered = 0;

  for (const { name, value, negated, at } of optionsOf(words)) {
    const wrong = (reason: string): U32Match => ({
      ok: false,
      reason,
      found: `${words[at - 1]} ${value ?? ""}`.trim(),
    });
    if (negated || value === undefined || value === "!" || value.startsWith("-"))
      return wrong(`an ingress class can match only ${KNOWN}`);
    covered += 2;
    switch (name) {
      case "--match":
        if (!MATCH_MODULES.has(value)) return wrong(`an ingress class can match only ${KNOWN}`);
        break;
      case "--protocol": {
        const number =
          PROTOCOLS.get(value.toLowerCase()) ?? (/^\d{1,3}$/.test(value) ? Number(value) : undefined);
        if (number === undefined || number > 255) return wrong("an ingress class can't match this protocol");
        if (number === 1) families.delete(6);
        if (number === 58) families.delete(4);
        choices.push([`protocol ${number} 0xff`]);
        break;
      }
      case "--source":
      case "--destination": {
        const texts = value.split(",");
        if (texts.some((text) => !isNetwork(text)))
          return wrong("an ingress class matches addresses with a prefix length");
        byFamily.push({ field: name === "--source" ? "src" : "dst", texts });
        break;
      }
      case "--source-port":
      case "--destination-port":
      case "--source-ports":
      case "--destination-ports": {
        const keys = value.split(",").map(portKeys);
        if (keys.some((some) => some === undefined)) return wrong("an ingress class matches ports by number");
        const field = name.startsWith("--source") ? "sport" : "dport";
        choices.push(keys.flatMap((some) => some ?? []).map((key) => `${field} ${key}`));
        break;
      }
      default:
        return wrong(`an ingress class can match only ${KNOWN}`);
    }
  }
  if (covered !== words.length)
    return { ok: false, reason: `an ingress class can match only ${KNOWN}`, found: words.join(" ") };

  const filters = [...families].flatMap((family) => {
    const addresses = byFamily.map(({ field, texts }) =>
      texts
        .filter((text) => familyOfText(text) === family)
        .map((text) => `${field} ${withPrefix(text, family)}`),
    );
    return product([...choices, ...addresses]).map((keys) => ({ family, keys: keyWords(family, keys) }));
  });
  if (filters.length === 0)
    return { ok: false, reason: "this match fits neither IPv4 nor IPv6", found: words.join(" ") };
  if (filters.length > FILTERS_MAX)
    return {
      ok: false,
      reason: `this match needs ${filters.length} filters, more than ${FILTERS_MAX}`,
      found: words.join(" "),
    };
  return { ok: true, filters };
}

/** The IP version is a key too: one list of filters serves both families, so its handles never depend on the other's. */
function keyWords(family: Family, keys: readonly string[]): string[] {
  const version = ["match", "u8", VERSION[family], "0xf0", "at", "0"];
  return [...version, ...keys.flatMap((key) => ["match", SELECTOR[family], ...key.split(" ")])];
}

function product(choices: readonly (readonly string[])[]): string[][] {
  return choices.reduce<string[][]>(
    (made, some) => made.flatMap((keys) => some.map((key) => [...keys, key])),
    [[]],
  );
}

/** A port or a range `1000:1010` as `value mask` keys: the largest aligned blocks that fill it. */
function portKeys(text: string): string[] | undefined {
  const found = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
  if (found === null) return undefined;
  let from = Number(found[1]);
  const to = Number(found[2] ?? found[1]);
  if (from > to || to > 0xffff) return undefined;
  const keys: string[] = [];
  while (from <= to) {
    let size = from === 0 ? 0x10000 : from & -from;
    while (from + size - 1 > to) size /= 2;
    keys.push(`${from} 0x${(0x10000 - size).toString(16).padStart(4, "0")}`);
    from += size;
  }
  return keys;
}

function isNetwork(text: string): boolean {
  return familyOfText(text) !== undefined && /^[0-9a-fA-F.:]+(\/\d{1,3})?$/.test(text);
}

function withPrefix(text: string, family: Family): string {
  return text.includes("/") ? text : `${text}/${family === 4 ? 32 : 128}`;
}
