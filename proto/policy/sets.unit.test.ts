import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import { SET_TYPES } from "./set-types.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

function setOf(fields: string) {
  const result = parsePolicy(policyWith(`sets:\n  s: ${fields}\n  office: { type: hash:net }\n`));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.document.sets[0];
}

const ENTRIES: Readonly<Record<string, string>> = {
  "bitmap:ip": "range: 192.0.2.0/24, entries: [192.0.2.1, 192.0.2.4-192.0.2.9, 192.0.2.16/28]",
  "bitmap:ip,mac": "range: 192.0.2.0-192.0.2.9, entries: [192.0.2.1, '192.0.2.2,00:16:3e:0a:0b:0c']",
  "bitmap:port": "range: 0-1023, entries: [80, 100-200, tcp:443, udp:500-600]",
  "hash:ip": "entries: [192.0.2.1, 192.0.2.0/28, 192.0.2.1-192.0.2.9, '2001:db8::1']",
  "hash:mac": "entries: ['00:16:3e:0a:0b:0c']",
  "hash:net": "entries: [192.0.2.0/24, '2001:db8::/32', 192.0.2.1-192.0.2.9, 192.0.2.128/25 nomatch]",
  "hash:net,net": "entries: ['192.0.2.0/24,198.51.100.0/24']",
  "hash:ip,port":
    "entries: ['192.0.2.1,80', '192.0.2.1,udp:53', '192.0.2.1,tcp:80-90', '192.0.2.1,icmp:echo-request']",
  "hash:ip,port,ip": "entries: ['192.0.2.1,80,192.0.2.2']",
  "hash:ip,port,net": "entries: ['192.0.2.1,80,198.51.100.0/24']",
  "hash:ip,mark": "entries: ['192.0.2.1,80', '192.0.2.1,0x50']",
  "hash:net,port": "entries: ['192.0.2.0/24,80']",
  "hash:net,port,net": "entries: ['192.0.2.0/24,80,198.51.100.0/24']",
  "hash:net,iface": "entries: ['192.0.2.0/24,eth0', '0.0.0.0/0,eth1', '192.0.2.0/24,physdev:eth0']",
  "hash:ip,mac": "entries: ['192.0.2.1,00:16:3e:0a:0b:0c']",
  "list:set": "entries: [office, list:bans]",
};

test.each([...SET_TYPES.keys()])("a set of type %s takes its entries", (type) => {
  expect(setOf(`{ type: "${type}", ${ENTRIES[type]} }`)?.type).toBe(type);
});

test("create options become ipset's words, with times in seconds", () => {
  const fields =
    "{ type: hash:ip, family: ipv6, timeout: 10m, counters: true, comment: false, skbinfo: true, maxelem: 1000, hashsize: 512, netmask: 64 }";
  expect(setOf(fields)?.options).toEqual(
    "family inet6 netmask 64 hashsize 512 maxelem 1000 timeout 600 counters skbinfo".split(" "),
  );
});

test("an entry takes its own options where the set has them", () => {
  const entries = `['192.0.2.1 timeout 60 comment "the office" packets 1 bytes 2 skbmark 0x1/0xff skbprio 1:10 skbqueue 3']`;
  expect(
    setOf(
      `{ type: hash:ip, timeout: 600, comment: true, counters: true, skbinfo: true, entries: ${entries} }`,
    )?.entries,
  ).toHaveLength(1);
});

describe("what can't be in a set is refused where it stands", () => {
  test.each([
    ["{ type: ‸hash:nett }", "bad value for type"],
    ["‸{ entries: [192.0.2.1] }", "type is missing"],
    ["‸[192.0.2.1]", "bad value for s"],
    ["{ type: hash:ip, ‸maxelm: 5 }", "unknown field maxelm; did you mean maxelem?"],
    ["{ type: hash:ip, ‸size: 5 }", "hash:ip has no size"],
    ["{ type: hash:mac, ‸family: ipv4 }", "hash:mac has no family"],
    ["{ type: list:set, ‸hashsize: 64 }", "list:set has no hashsize"],
    ["{ type: hash:ip, family: ‸inet }", "bad value for family"],
    ["{ type: hash:ip, hashsize: ‸many }", "bad value for hashsize"],
    ["{ type: hash:ip, timeout: ‸2147484 }", "bad value for timeout"],
    ["{ type: hash:ip, timeout: ‸10ms }", "bad value for timeout"],
    ["{ type: hash:ip, counters: ‸yes }", "bad value for counters"],
    ["{ type: hash:ip, entries: ‸192.0.2.1 }", "bad value for entries"],
    ["{ type: hash:net, entries: [‸0.0.0.0/0] }", "hash:net can't hold 0.0.0.0/0"],
    ["{ type: hash:net, entries: ['‸::/0'] }", "hash:net can't hold ::/0"],
    [
      "{ type: hash:net, entries: [192.0.2.0/24, ‸192.0.2.0/33] }",
      "the prefix of 192.0.2.0/33 is out of range",
    ],
    ["{ type: hash:net, entries: [‸300.1.1.1] }", "300.1.1.1 is no address"],
    [
      "{ type: hash:net, entries: ['‸::ffff:c000:200/120'] }",
      "::ffff:c000:200/120 is an IPv4 address written as IPv6",
    ],
    ["{ type: hash:ip, hashsize: ‸16777217 }", "bad value for hashsize"],
    ["{ type: 'hash:net,iface', entries: [‸\"192.0.2.0/24,et\\ah0\"] }", "this isn't a device"],
    [
      "{ type: hash:net, entries: [‸office.example] }",
      "office.example is a name, which may resolve differently over time",
    ],
    ["{ type: hash:ip, entries: [‸10.0.0.0/8] }", "this stands for 16777216 members"],
    ["{ type: hash:ip, entries: ['‸192.0.2.1,80'] }", "hash:ip takes ip"],
    ["{ type: hash:ip, entries: [‸''] }", "an empty entry"],
    ["{ type: hash:ip, entries: [‸[192.0.2.1]] }", "this isn't an entry"],
    ["{ type: hash:ip, family: ipv4, entries: [‸'2001:db8::1'] }", "this set holds IPv4 alone"],
    ["{ type: 'hash:ip,port,ip', entries: ['192.0.2.1,80,‸2001:db8::1'] }", "one entry mixes IPv4 and IPv6"],
    ["{ type: 'hash:ip,port', entries: ['192.0.2.1,‸tcp:65536'] }", "this isn't a port"],
    ["{ type: 'hash:ip,port', entries: ['192.0.2.1,‸http'] }", "this isn't a port"],
    ["{ type: 'hash:ip,mark', entries: ['192.0.2.1,‸0x100000000'] }", "this isn't a mark"],
    ["{ type: hash:mac, entries: ['‸00:16:3e:0a:0b'] }", "this isn't a MAC address"],
    ["{ type: 'hash:net,iface', entries: ['192.0.2.0/24,‸a-name-that-is-too-long'] }", "this isn't a device"],
    [
      "{ type: hash:ip, entries: [192.0.2.1 ‸timeout 60] }",
      "an entry takes timeout only where the set has timeout",
    ],
    ["{ type: hash:ip, timeout: 60, entries: [192.0.2.1 ‸timeout soon] }", "timeout has no usable value"],
    ["{ type: hash:ip, entries: [192.0.2.1 ‸nomatch] }", "an entry of hash:ip takes no nomatch"],
    ["{ type: hash:ip, entries: [192.0.2.1 ‸constructor] }", "an entry of hash:ip takes no constructor"],
    ['{ type: hash:ip, entries: [192.0.2.1 ‸"open] }', "a \" that isn't closed"],
    ["‸{ type: bitmap:port }", "range is missing"],
    ["{ type: bitmap:ip, range: ‸10.0.0.0/8 }", "bad value for range"],
    ["{ type: bitmap:ip, range: ‸'2001:db8::/112' }", "bad value for range"],
    ["{ type: bitmap:port, range: ‸1023-0 }", "bad value for range"],
    ["{ type: bitmap:port, range: 0-1023, entries: [‸2000] }", "this is outside the set's range"],
    ["{ type: bitmap:port, range: 0-1023, entries: [‸tcp:1000-1024] }", "this is outside the set's range"],
    [
      "{ type: bitmap:ip, range: 192.0.2.0/24, entries: [‸192.0.2.250-192.0.3.1] }",
      "this is outside the set's range",
    ],
    ["{ type: list:set, entries: [‸offic] }", "undefined set offic; did you mean office?"],
    ["{ type: list:set, entries: [‸s] }", "a list:set can't hold a list:set"],
    ["{ type: hash:ip, entries: [‸$nobody] }", "undefined variable $nobody"],
    ["{ type: hash:ip, entries: [‸$uplink] }", "eth0 is a name, which may resolve differently over time"],
  ])("%s", (fields, message) => {
    expectRefusal(
      policyWith(`vars: { uplink: eth0 }\nsets:\n  s: ${fields}\n  office: { type: hash:net }\n`),
      message,
    );
  });

  test.each([
    [`sets: { ‸${"n".repeat(32)}: { type: hash:ip } }`, `${"n".repeat(32)} can't be a set's name`],
    ["sets: { ‸list:a: { type: hash:ip } }", "list:a can't be a set's name"],
    [
      "sets: { ‸ban: { type: hash:ip } }\nexternal: { sets: { ban: hash:ip } }",
      "the set ban is external already",
    ],
    ["external: { sets: { ‸sl-x: hash:ip } }", "this can't be the name of an external set"],
    ["external: { sets: { x: ‸hash:nope } }", "bad value for x"],
    ["external: { chains: { filter: [‸SL-INPUT] } }", "bad value for filter[0]"],
    ["external: { chains: { ‸filtr: [] } }", "unknown table filtr"],
    ["external: { ‸rules: [] }", "unknown field rules"],
  ])("%s", (fields, message) => expectRefusal(policyWith(fields), message));
});

test("a variable in an entry is tried with every value that it can have", () => {
  const vars = "vars: { lan: { value: 192.0.2.0/24, servers: { server-3: 192.0.2.0/33 } } }";
  expectRefusal(
    policyWith(`${vars}\nsets: { s: { type: hash:net, entries: [‸$lan] } }`),
    "the prefix of 192.0.2.0/33 is out of range",
  );
});
