import fc from "fast-check";
import { expect, test } from "vitest";
import {
  canonicalEntry,
  familyOfAddress,
  formatAddress,
  mappedIpv4,
  networksOf,
  parseAddress,
  parseRange,
} from "./addresses.ts";

const ipv4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
const ipv6 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const address = fc.oneof(
  ipv4.map((value) => ({ family: 4 as const, value })),
  ipv6.map((value) => ({ family: 6 as const, value })),
);

test.each([
  ["192.0.2.7", "192.0.2.7", 4],
  ["192.0.2.7/32", "192.0.2.7", 4],
  ["192.0.2.7/24", "192.0.2.0/24", 4],
  ["192.0.2.7/255.255.255.0", "192.0.2.0/24", 4],
  ["192.0.2.0-192.0.2.255", "192.0.2.0/24", 4],
  ["192.0.2.1-192.0.2.3", "192.0.2.1-192.0.2.3", 4],
  ["192.0.2.1-192.0.2.1", "192.0.2.1", 4],
  ["0.0.0.0/0", "0.0.0.0/0", 4],
  ["2001:DB8:0:0::1", "2001:db8::1", 6],
  ["2001:db8::7/32", "2001:db8::/32", 6],
  ["2001:db8::1/128", "2001:db8::1", 6],
  ["::", "::", 6],
  ["::1", "::1", 6],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1", 6],
  ["::ffff:c000:201", "::ffff:192.0.2.1", 6],
  ["::192.0.2.1", "::192.0.2.1", 6],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3", 6],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", 6],
])("%s is kept as %s", (text, entry, family) => {
  expect(canonicalEntry(text)).toEqual({ entry, family });
  expect(familyOfAddress(text)).toBe(family);
});

test.each([
  "",
  "192.0.2",
  "192.0.2.256",
  "192.0.2.01",
  "0x7f.0.0.1",
  "192.0.2.1/33",
  "192.0.2.1/255.0.255.0",
  "192.0.2.1/-1",
  "192.0.2.9-192.0.2.1",
  "192.0.2.1-::1",
  "192.0.2.1-",
  "2001:db8::1/129",
  "2001:db8::1/ffff::",
  "1::2::3",
  "[::1]",
  "fe80::1%eth0",
  "::ffff:192.0.2.01",
  "example.com",
  "localhost",
  "192.0.2.1 ",
  "$office",
])("%j is no address", (text) => {
  expect(canonicalEntry(text)).toBeUndefined();
});

test("what an address is written as reads back as that address", () => {
  fc.assert(
    fc.property(address, ({ family, value }) => {
      expect(parseAddress(formatAddress(family, value))).toEqual({ family, value });
    }),
  );
});

test("a canonical entry is its own canonical form", () => {
  fc.assert(
    fc.property(address, fc.nat(128), ({ family, value }, prefix) => {
      const text = `${formatAddress(family, value)}/${family === 4 ? prefix % 33 : prefix}`;
      const entry = canonicalEntry(text)?.entry ?? "";
      expect(canonicalEntry(entry)?.entry).toBe(entry);
    }),
  );
});

test("the networks of a range follow each other from its first to its last address", () => {
  fc.assert(
    fc.property(ipv4, ipv4, (one, other) => {
      const [first, last] = one < other ? [one, other] : [other, one];
      const ranges = networksOf({ family: 4, first, last }).map((text) => parseRange(text));
      expect(ranges.length).toBeLessThanOrEqual(62);
      expect(ranges[0]?.first).toBe(first);
      expect(ranges.at(-1)?.last).toBe(last);
      for (let index = 1; index < ranges.length; index += 1)
        expect(ranges[index]?.first).toBe((ranges[index - 1]?.last ?? 0n) + 1n);
    }),
  );
});

test("the whole of either family is one network", () => {
  expect(networksOf({ family: 4, first: 0n, last: 2n ** 32n - 1n })).toEqual(["0.0.0.0/0"]);
  expect(networksOf({ family: 6, first: 0n, last: 2n ** 128n - 1n })).toEqual(["::/0"]);
});

test("networks of a range are as large as can be: none could be joined with its neighbour", () => {
  expect(networksOf({ family: 4, first: 1n, last: 2n ** 32n - 2n })).toHaveLength(62);
  expect(networksOf({ family: 6, first: 1n, last: 2n ** 128n - 2n })).toHaveLength(254);
});

test.each([
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["::ffff:192.0.2.0/120", "192.0.2.0/24"],
  ["::ffff:192.0.2.1-::ffff:192.0.2.5", "192.0.2.1-192.0.2.5"],
  ["::ffff:0:0/96", undefined],
  ["::fffe:192.0.2.7", undefined],
  ["::ffff:0:0/95", undefined],
  ["192.0.2.7", undefined],
])("%s is the IPv4 address %s", (text, ipv4) => {
  const range = parseRange(text);
  expect(range && mappedIpv4(range)).toBe(ipv4);
});
