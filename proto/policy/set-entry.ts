import type { Family } from "../base/names.ts";
import { mappedIpv4, parseRange, prefixOf } from "./addresses.ts";
import { splitWords } from "./rule-words.ts";
import type { Part } from "./set-types.ts";

/** What is wrong with an entry, and at which character of it. */
export interface EntryFault {
  ok: false;
  message: string;
  expected: string;
  at: number;
}
export type CheckedEntry = { ok: true; family: Family | undefined; words: string[] } | EntryFault;

/** One written entry never becomes more members than this in the kernel. */
const MEMBERS_MAX = 65_536n;

/** What may follow an element, what it takes, and the option that the set must have for it. */
const ENTRY_OPTIONS: Readonly<Record<string, { value?: RegExp; needs?: string }>> = {
  timeout: { value: /^\d{1,7}$/, needs: "timeout" },
  packets: { value: /^\d+$/, needs: "counters" },
  bytes: { value: /^\d+$/, needs: "counters" },
  comment: { value: /^[^"\p{Cc}]{0,255}$/u, needs: "comment" },
  skbmark: { value: /^0x[0-9a-f]+(\/0x[0-9a-f]+)?$/i, needs: "skbinfo" },
  skbprio: { value: /^[0-9a-f]+:[0-9a-f]*$/i, needs: "skbinfo" },
  skbqueue: { value: /^\d+$/, needs: "skbinfo" },
  nomatch: {},
};

/** Whether the text can be an entry of a set with these parts and `create` options, as far as its own text tells. */
export function checkEntry(
  text: string,
  type: string,
  parts: readonly Part[],
  options: ReadonlyMap<string, string>,
): CheckedEntry {
  const split = splitWords(text);
  if (!split.ok) return { ok: false, message: split.message, expected: `an entry of ${type}`, at: split.at };
  const [element, ...tail] = split.words;
  if (element === undefined)
    return { ok: false, message: "an empty entry", expected: `an entry of ${type}`, at: 0 };
  const checked = checkElement(element.text, type, parts);
  if (!checked.ok) return { ...checked, at: element.at + checked.at };
  for (let index = 0; index < tail.length; index += 1) {
    const { text: name, at } = tail[index] ?? element;
    const option = Object.hasOwn(ENTRY_OPTIONS, name) ? ENTRY_OPTIONS[name] : undefined;
    if (option === undefined || (name === "nomatch" && !parts.includes("net")))
      return {
        ok: false,
        message: `an entry of ${type} takes no ${name}`,
        expected: Object.keys(ENTRY_OPTIONS).join(", "),
        at,
      };
    if (option.needs !== undefined && !options.has(option.needs))
      return {
        ok: false,
        message: `an entry takes ${name} only where the set has ${option.needs}`,
        expected: `${option.needs} in the set`,
        at,
      };
    if (option.value === undefined) continue;
    index += 1;
    if (!option.value.test(tail[index]?.text ?? "\n"))
      return { ok: false, message: `${name} has no usable value`, expected: `a value of ${name}`, at };
  }
  return { ok: true, family: checked.family, words: split.words.map((word) => word.text) };
}

function checkElement(text: string, type: string, parts: readonly Part[]): CheckedEntry {
  const words = text.split(",");
  // its MAC address is filled in by the kernel when the address is first seen
  const mayBeShort = type === "bitmap:ip,mac" && words.length === 1;
  if (words.length !== parts.length && !mayBeShort)
    return { ok: false, message: `${type} takes ${parts.join(",")}`, expected: example(parts), at: 0 };
  let family: Family | undefined;
  let members = 1n;
  let at = 0;
  for (const [index, word] of words.entries()) {
    const checked = checkPart(word, parts[index] ?? "ip", type);
    if (!checked.ok) return { ok: false, message: checked.message, expected: checked.expected, at };
    if (family !== undefined && checked.family !== undefined && checked.family !== family)
      return { ok: false, message: "one entry mixes IPv4 and IPv6", expected: `IPv${family}`, at };
    family ??= checked.family;
    members *= checked.members;
    at += word.length + 1;
  }
  if (members > MEMBERS_MAX)
    return {
      ok: false,
      message: `this stands for ${members} members`,
      expected: `at most ${MEMBERS_MAX}; a type with net holds networks`,
      at: 0,
    };
  return { ok: true, family, words: [] };
}

type CheckedPart =
  | { ok: true; family?: Family; members: bigint }
  | { ok: false; message: string; expected: string };

function checkPart(word: string, part: Part, type: string): CheckedPart {
  switch (part) {
    case "ip":
    case "net":
      return checkAddresses(word, part, type);
    case "port":
      return checkPort(word, type === "bitmap:port");
    case "mac":
      return one(
        /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(word),
        "this isn't a MAC address",
        "such as 00:16:3e:0a:0b:0c",
      );
    case "mark":
      return one(
        /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(word) && Number(word) <= 0xffffffff,
        "this isn't a mark",
        "a number up to 0xffffffff",
      );
    case "iface":
      return one(
        /^(physdev:)?[^\s/:"'\p{Cc}]{1,15}$/u.test(word),
        "this isn't a device",
        "a name of at most 15 characters",
      );
    case "set":
      return one(/^(list:)?[A-Za-z0-9_.-]+$/.test(word), "this isn't a set's name", "a set of this policy");
  }
}

function checkAddresses(word: string, part: "ip" | "net", type: string): CheckedPart {
  const range = parseRange(word);
  if (range === undefined)
    return {
      ok: false,
      message: addressFault(word),
      expected: part === "net" ? "an address, network or range" : "an address",
    };
  const ipv4 = mappedIpv4(range);
  if (ipv4 !== undefined)
    return { ok: false, message: `${word} is an IPv4 address written as IPv6`, expected: ipv4 };
  const { family, first, last } = range;
  if (part === "ip") return { ok: true, family, members: last - first + 1n };
  // ipset can't store a prefix of 0 but in hash:net,iface
  if (prefixOf(range) === 0 && type !== "hash:net,iface") {
    const halves = family === 4 ? "0.0.0.0/1 and 128.0.0.0/1" : "::/1 and 8000::/1";
    return { ok: false, message: `${type} can't hold ${word}`, expected: `two halves: ${halves}` };
  }
  return { ok: true, family, members: 1n };
}

/** What is wrong with a text that should have been an address. */
export function addressFault(text: string): string {
  if (/^[^-/]+\/\d+$/.test(text) && parseRange(text.replace(/\/.*/, "")) !== undefined)
    return `the prefix of ${text} is out of range`;
  if (/^[A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*$/.test(text))
    return `${text} is a name, which may resolve differently over time`;
  return `${text === "" ? "nothing" : text} is no address`;
}

/** `80`, `80-90`, `udp:53`, `icmp:echo-request`, `gre:0`. */
function checkPort(word: string, isPlain: boolean): CheckedPart {
  const expected = isPlain
    ? "a port or a range, such as 80 or 8000-8080"
    : "[protocol:]port, such as 80, udp:53 or tcp:80-90";
  const found = /^(?:([a-z0-9-]+):)?(\d{1,5})(?:-(\d{1,5}))?$/i.exec(word);
  if (found === null)
    return one(
      !isPlain && /^(icmp|icmpv6|ipv6-icmp):[a-z0-9/-]+$/i.test(word),
      "this isn't a port",
      expected,
    );
  const from = Number(found[2]);
  const to = Number(found[3] ?? found[2]);
  if (from > to || to > 65_535) return { ok: false, message: "this isn't a port", expected };
  return { ok: true, members: BigInt(to - from + 1) };
}

function one(isRight: boolean, message: string, expected: string): CheckedPart {
  return isRight ? { ok: true, members: 1n } : { ok: false, message, expected };
}

const EXAMPLES: Readonly<Record<Part, string>> = {
  ip: "192.0.2.1",
  net: "192.0.2.0/24",
  port: "tcp:80",
  mac: "00:16:3e:0a:0b:0c",
  mark: "0x50",
  iface: "eth0",
  set: "office",
};

function example(parts: readonly Part[]): string {
  return `such as ${parts.map((part) => EXAMPLES[part]).join(",")}`;
}
