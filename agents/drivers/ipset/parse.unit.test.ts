import { expect, test } from "vitest";
import { elementOf, timeoutOf, withoutCounters } from "./entry.ts";
import { createWords, sameOptions } from "./options.ts";
import { parseList } from "./parse.ts";

const LIST = `ipset> Name: sl-a
Type: hash:net
Revision: 7
Header: family inet6 hashsize 4096 maxelem 65536 timeout 600 counters comment bucketsize 12 initval 0xfaf7a6b7
Size in memory: 1511
References: 2
Number of entries: 3
Members:
2001:db9::/32 timeout 0 packets 7 bytes 80 comment "Name: x timeout 5"
2001:db8::/32 timeout 10 packets 0 bytes 0
2001:db7::/32 nomatch timeout 0 packets 0 bytes 0
ipset> ipset> Name: sl-b
Type: bitmap:port
Revision: 3
Header: range 0-100
Size in memory: 88
References: 0
Number of entries: 0
Members:
ipset> `;

test("a listing gives type, family, options and what they hold; lasting members apart from those that run out", () => {
  expect(parseList(LIST)).toEqual([
    {
      name: "sl-a",
      type: "hash:net",
      family: 6,
      options: ["maxelem", "65536", "timeout", "600", "counters", "comment", "bucketsize", "12"],
      count: 3,
      references: 2,
      members: {
        lasting: ['2001:db9::/32 timeout 0 comment "Name: x timeout 5"', "2001:db7::/32 nomatch timeout 0"],
        expiring: ["2001:db8::/32 timeout 10"],
      },
    },
    {
      name: "sl-b",
      type: "bitmap:port",
      family: null,
      options: ["range", "0-100"],
      count: 0,
      references: 0,
      members: { lasting: [], expiring: [] },
    },
  ]);
});

test("headers alone give no members", () => {
  expect(parseList("Name: sl-a\nType: hash:ip\nHeader: family inet\nNumber of entries: 4\n")).toMatchObject([
    { name: "sl-a", family: 4, count: 4 },
  ]);
  expect(parseList("Name: sl-a\nNumber of entries: 4\n")[0]?.members).toBeUndefined();
});

test("a comment's words aren't taken for options", () => {
  const entry = '192.0.2.1 comment "a timeout 5 packets 1 bytes 2"';
  expect(timeoutOf(entry)).toBeUndefined();
  expect(withoutCounters(entry)).toBe(entry);
  expect(elementOf(entry)).toBe("192.0.2.1");
});

test("a set is made with room for twice its entries", () => {
  const entries = Array.from({ length: 100_000 }, (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  const set = { name: "sl-a", type: "hash:ip", family: 4, options: [], use: "policy" } as const;
  expect(createWords({ ...set, entries: ["192.0.2.1"] })).toEqual(["hash:ip", "family", "inet"]);
  expect(createWords({ ...set, entries })).toEqual([
    ...["hash:ip", "family", "inet", "maxelem", "262144", "hashsize", "65536"],
  ]);
  expect(createWords({ ...set, entries, options: ["maxelem", "100000", "hashsize", "64"] })).toEqual([
    ...["hash:ip", "family", "inet", "maxelem", "100000", "hashsize", "64"],
  ]);
});

test("only a list may have more room than is wanted", () => {
  const want = ["maxelem", "65536", "counters"];
  const have = ["maxelem", "262144", "counters"];
  expect(sameOptions(want, have, "list")).toBe(true);
  expect(sameOptions(want, have, "policy")).toBe(false);
  expect(sameOptions(have, want, "list")).toBe(false);
  expect(sameOptions(want, ["maxelem", "65536"], "list")).toBe(false);
});
