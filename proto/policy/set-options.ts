import { parseDurationMs } from "../base/units.ts";
import { type AddressRange, formatAddress, parseRange, prefixOf } from "./addresses.ts";
import { type Field, flag, integer, matching, oneOf, optional, parsed, wholeNumber } from "./fields.ts";
import { type Reader, readValue } from "./reader.ts";
import type { SetType } from "./set-types.ts";
import type { MapNode } from "./source-node.ts";

const TIMEOUT_MAX_S = 2_147_483;
const BITMAP_MAX = 65_536n;

const timeout: Field<string> = parsed(
  `seconds or a duration such as 10m, at most ${TIMEOUT_MAX_S} seconds`,
  (text) => {
    const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
    return ms === undefined || ms % 1000 !== 0 || ms / 1000 > TIMEOUT_MAX_S ? undefined : String(ms / 1000);
  },
);

/** ipset's own `create` options. */
export const CREATE_OPTIONS = {
  family: optional(oneOf(["ipv4", "ipv6"])),
  range: "nested",
  netmask: optional(integer(1, 128)),
  bitmask: optional(matching("an address used as a mask", /^[0-9a-fA-F.:]+$/)),
  markmask: optional(matching("a mask such as 0xff", /^0x[0-9a-fA-F]{1,8}$/)),
  // 8 bytes a bucket, taken at once: 128 MiB
  hashsize: optional(integer(64, 2 ** 24)),
  maxelem: optional(integer(1, 0xffffffff)),
  bucketsize: optional(integer(2, 14)),
  initval: optional(matching("a number such as 0x1a2b3c4d", /^0x[0-9a-fA-F]{1,8}$/)),
  size: optional(integer(1, 65_535)),
  timeout: optional(timeout),
  counters: optional(flag),
  comment: optional(flag),
  skbinfo: optional(flag),
  forceadd: optional(flag),
} as const;

/** Whether the type has the options that are said. */
export function checkOptionsFit(reader: Reader, node: MapNode, name: string, type: SetType): void {
  const known = ["type", "entries", ...(type.hasFamily ? ["family"] : []), ...type.options];
  for (const [option, { key }] of node.fields)
    if (Object.hasOwn(CREATE_OPTIONS, option) && !known.includes(option))
      reader.problem(key, `${name} has no ${option}`, {
        found: option,
        expected: `one of ${known.join(", ")}`,
      });
}

/** As ipset takes them. */
export function optionWords(
  fields: Record<string, unknown>,
  type: SetType,
  range: string | undefined,
): string[] {
  const words: string[] = [];
  if (type.hasFamily && fields.family !== undefined)
    words.push("family", fields.family === "ipv4" ? "inet" : "inet6");
  for (const option of type.options) {
    const value = option === "range" ? range : fields[option];
    if (value === true) words.push(option);
    else if (typeof value === "string" || typeof value === "number") words.push(option, String(value));
  }
  return words;
}

/** What a bitmap spans: it must be said, and at most 65,536 members. */
export function readRange(
  reader: Reader,
  node: MapNode,
  type: string,
): { text: string; limits: Limits } | undefined {
  if (!type.startsWith("bitmap:")) return undefined;
  const isPort = type === "bitmap:port";
  const expected = isPort
    ? "two ports, such as 0-1023"
    : "an IPv4 network or range of at most 65536 addresses";
  const range = node.fields.get("range")?.value;
  if (range === undefined) {
    reader.problem(node, "range is missing", { expected: `range: ${expected}` });
    return undefined;
  }
  const field = parsed(expected, (text) => (isPort ? portLimits(text) : addressLimits(text)));
  const limits = readValue(reader, range, field);
  if (limits === undefined) return undefined;
  const [first, last] = [limits.first, limits.last].map((value) =>
    isPort ? String(value) : formatAddress(4, value),
  );
  return { text: `${first}-${last}`, limits };
}

/** What a bitmap spans. */
export type Limits = Pick<AddressRange, "first" | "last">;

function addressLimits(text: string): Limits | undefined {
  const range = parseRange(text);
  return range?.family === 4 && range.last - range.first < BITMAP_MAX && prefixOf(range) !== 32
    ? range
    : undefined;
}

export function portLimits(text: string): Limits | undefined {
  const [first, last] = text.split("-").map((port) => wholeNumber(port, 0, 65_535));
  return first === undefined || last === undefined || first > last
    ? undefined
    : { first: BigInt(first), last: BigInt(last) };
}
