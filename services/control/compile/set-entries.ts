import type { Family } from "@sluice/proto/base/names";
import { type AddressRange, formatAddress, networksOf, parseRange } from "@sluice/proto/policy/addresses";
import { splitWords } from "@sluice/proto/policy/rule-words";
import { type Part, SET_TYPES } from "@sluice/proto/policy/set-types";

/**
 * One entry of a policy's set as the kernel will hold it: ipset takes more ways of writing than it gives back, and
 * stores a network in `hash:ip`, a range of ports or a range of addresses as its single members.
 */
export type ParsedEntry =
  | { ok: true; family: Family | null; elements: string[]; options: string }
  | { ok: false; reason: string };

export interface SetShape {
  /** `hash:ip,port` → `["ip", "port"]` */
  parts: readonly Part[];
  hasFamily: boolean;
  /** bits of `netmask`, where the set folds addresses */
  netmask: number | undefined;
}

/** One written entry never becomes more than this: what is larger belongs into hash:net or into a list. */
const EXPANDED_MAX = 65_536;
/** hash:net,iface alone takes a prefix of 0. */
const TAKES_ALL = "net,iface";

export function shapeOf(type: string, options: readonly string[]): SetShape {
  const { parts, hasFamily } = SET_TYPES.get(type) ?? { parts: [], hasFamily: false };
  const mask = options.indexOf("netmask");
  const netmask = mask < 0 ? undefined : Number.parseInt(options[mask + 1] ?? "", 10) || undefined;
  return { parts, hasFamily, netmask };
}

export function parseEntry(text: string, shape: SetShape): ParsedEntry {
  const split = splitWords(text);
  if (!split.ok) return { ok: false, reason: `can't read ${split.message}` };
  const [element = "", ...tail] = split.words.map((word) => word.text);
  const words = element.split(",");
  // bitmap:ip,mac alone may leave its last part out
  if (words.length !== shape.parts.length && !(shape.parts.join() === "ip,mac" && words.length === 1))
    return { ok: false, reason: `takes ${shape.parts.join(",")}` };

  let family: Family | null = null;
  let elements = [""];
  for (const [index, word] of words.entries()) {
    const parsed = parsePart(shape.parts[index], word, shape);
    if (!parsed.ok) return parsed;
    if (family !== null && parsed.family !== null && parsed.family !== family)
      return { ok: false, reason: "mixes IPv4 and IPv6" };
    family ??= parsed.family;
    if (elements.length * parsed.texts.length > EXPANDED_MAX) return tooMany();
    const before = elements;
    elements = before.flatMap((start) => parsed.texts.map((end) => (index === 0 ? end : `${start},${end}`)));
  }
  return { ok: true, family, elements, options: quoteOptions(tail) };
}

/** ipset knows double quotes and no escape; it quotes the comment, and nothing else. */
function quoteOptions(words: readonly string[]): string {
  return words.map((word, index) => (words[index - 1] === "comment" ? `"${word}"` : word)).join(" ");
}

type ParsedPart = { ok: true; family: Family | null; texts: string[] } | { ok: false; reason: string };

function parsePart(part: Part | undefined, word: string, shape: SetShape): ParsedPart {
  const plain = (text: string): ParsedPart => ({ ok: true, family: null, texts: [text] });
  switch (part) {
    case "net": {
      const range = parseRange(word);
      if (range === undefined) return { ok: false, reason: "takes an address, a network or a range" };
      return { ok: true, family: range.family, texts: networkTexts(range, shape.parts.join() === TAKES_ALL) };
    }
    case "ip": {
      const range = parseRange(word);
      if (range === undefined) return { ok: false, reason: "takes an address" };
      return addressTexts(range, shape.netmask);
    }
    case "port":
      return parsePorts(word, shape.parts.length > 1);
    case "mac":
      return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(word)
        ? plain(word.toUpperCase())
        : { ok: false, reason: "takes a MAC address" };
    case "mark":
      return /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(word) && Number(word) <= 0xffffffff
        ? plain(`0x${Number(word).toString(16).padStart(8, "0")}`)
        : { ok: false, reason: "takes a mark" };
    case "iface":
      return /^(physdev:)?[^\s/:"'\p{Cc}]{1,15}$/u.test(word)
        ? plain(word)
        : { ok: false, reason: "takes a device" };
    case "set": // members are other sets: sets.ts
    case undefined:
      return { ok: false, reason: "takes no such entry" };
  }
}

/** ipset refuses a prefix of 0 in most types; two halves are the same. */
function networkTexts(range: AddressRange, takesAll: boolean): string[] {
  const networks = networksOf(range);
  if (takesAll) return networks;
  return networks.flatMap((text) => {
    if (text === "0.0.0.0/0") return ["0.0.0.0/1", "128.0.0.0/1"];
    return text === "::/0" ? ["::/1", "8000::/1"] : [text];
  });
}

function addressTexts({ family, first, last }: AddressRange, netmask: number | undefined): ParsedPart {
  const bits = family === 4 ? 32 : 128;
  const step = 1n << BigInt(bits - Math.min(bits, Math.max(0, netmask ?? bits)));
  const start = first - (first % step);
  if ((last - start) / step >= BigInt(EXPANDED_MAX)) return tooMany();
  const texts: string[] = [];
  for (let value = start; value <= last; value += step) texts.push(formatAddress(family, value));
  return { ok: true, family, texts };
}

/** `80`, `80-90`, `udp:53`; what isn't a number of a port, such as `icmp:echo-request`, stays as it is written. */
function parsePorts(word: string, withProtocol: boolean): ParsedPart {
  const found = /^(?:([a-z0-9]+):)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(word.toLowerCase());
  if (found === null)
    return withProtocol && /^(icmp|icmpv6|ipv6-icmp):[a-z0-9/-]+$/.test(word)
      ? { ok: true, family: null, texts: [word] }
      : { ok: false, reason: "takes a port's number or a range" };
  const from = Number(found[2]);
  const to = Number(found[3] ?? found[2]);
  if (from > to || to > 65535) return { ok: false, reason: "takes ports from 0 to 65535" };
  const before = withProtocol ? `${found[1] ?? "tcp"}:` : "";
  const texts = Array.from({ length: to - from + 1 }, (_, index) => `${before}${from + index}`);
  return { ok: true, family: null, texts };
}

function tooMany(): { ok: false; reason: string } {
  return { ok: false, reason: `stands for more than ${EXPANDED_MAX} members; hash:net holds networks` };
}
