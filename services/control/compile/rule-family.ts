import type { Family } from "@sluice/proto/base/names";
import { familyOfAddress } from "@sluice/proto/policy/addresses";
import type { RuleOption } from "./rule-options.ts";

/** Which family a part of a rule belongs to, and the words that say so. */
export interface FamilyReason {
  family: Family;
  because: string;
}

/** Options whose value is an address, a network, a range or `address:port`. */
const ADDRESS_OPTIONS = new Set([
  "--source",
  "--destination",
  "--src-range",
  "--dst-range",
  "--to-source",
  "--to-destination",
  "--to",
  "--on-ip",
  "--gateway",
  "--ctorigsrc",
  "--ctorigdst",
  "--ctreplsrc",
  "--ctrepldst",
  "--tunnel-src",
  "--tunnel-dst",
  "--vaddr",
  "--src-pfx",
  "--dst-pfx",
  "--mask",
]);

const PROTOCOLS: ReadonlyMap<string, Family> = new Map(
  Object.entries<Family>({
    icmp: 4,
    "1": 4,
    igmp: 4,
    "2": 4,
    icmpv6: 6,
    "ipv6-icmp": 6,
    "58": 6,
    "mobility-header": 6,
    "ipv6-mh": 6,
    mh: 6,
    "135": 6,
  }),
);

/** Matches and targets that only one family has. */
const MATCHES: ReadonlyMap<string, Family> = new Map(
  Object.entries<Family>({
    icmp: 4,
    ttl: 4,
    realm: 4,
    osf: 4,
    icmp6: 6,
    icmpv6: 6,
    hl: 6,
    rt: 6,
    frag: 6,
    hbh: 6,
    dst: 6,
    ipv6header: 6,
    eui64: 6,
    mh: 6,
    srh: 6,
  }),
);
const TARGETS: ReadonlyMap<string, Family> = new Map(
  Object.entries<Family>({
    TTL: 4,
    ECN: 4,
    CLUSTERIP: 4,
    ULOG: 4,
    HL: 6,
    SNPT: 6,
    DNPT: 6,
  }),
);
const OPTIONS: ReadonlyMap<string, Family> = new Map([
  ["--icmp-type", 4],
  ["--fragment", 4],
  ["--icmpv6-type", 6],
]);
/** Types of addresses that IPv6's addrtype doesn't know. */
const ADDRESS_TYPES4 = /^(broadcast|prohibit|throw|nat|xresolve)$/i;
const REJECTS6 = new Set([
  "no-route",
  "adm-prohibited",
  "addr-unreach",
  "port-unreach",
  "policy-fail",
  "reject-route",
]);

/** What one option says about the family; nothing for most. */
export function familyReasons(option: RuleOption): FamilyReason[] {
  const { name, value = "" } = option;
  const only = (family: Family | undefined): FamilyReason[] =>
    family === undefined ? [] : [{ family, because: `${name} ${value}`.trim() }];
  if (ADDRESS_OPTIONS.has(name)) return value.split(",").flatMap((text) => only(familyOfText(text)));
  switch (name) {
    case "--protocol":
      return option.negated ? [] : only(PROTOCOLS.get(value.toLowerCase()));
    case "--match":
      return only(MATCHES.get(value));
    case "--jump":
      return only(TARGETS.get(value));
    case "--reject-with":
      return only(rejectFamily(value));
    case "--src-type":
    case "--dst-type":
      return only(value.split(",").some((type) => ADDRESS_TYPES4.test(type)) ? 4 : undefined);
    default: {
      const family = OPTIONS.get(name);
      return family === undefined ? [] : [{ family, because: name }];
    }
  }
}

function rejectFamily(value: string): Family | undefined {
  if (value.startsWith("icmp6-") || REJECTS6.has(value)) return 6;
  return value.startsWith("icmp-") ? 4 : undefined;
}

/** Also `address:port`, `[address]:port` and ranges of them; undefined where the text is no address, such as a port. */
export function familyOfText(text: string): Family | undefined {
  const known = familyOfAddress(text);
  if (known !== undefined) return known;
  if (/^\d{1,3}(\.\d{1,3}){0,3}\/\d/.test(text) || /^\d{1,3}(\.\d{1,3}){3}(?![\d.])/.test(text)) return 4;
  return text.startsWith("[") || (text.match(/:/g) ?? []).length > 1 ? 6 : undefined;
}
