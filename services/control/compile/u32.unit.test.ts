import fc from "fast-check";
import { expect, test } from "vitest";
import { packetMatch } from "./packet-match.ts";
import { rule } from "./test-input.ts";
import { u32Filters } from "./u32.ts";

function filters(text: string, family?: 4 | 6): string[] {
  const matched = packetMatch(rule(text).words, family, "a class");
  if (!matched.ok) throw new Error(matched.reason);
  return u32Filters(matched.match).map(({ keys }) => keys.join(" "));
}
const V4 = "match u8 0x40 0xf0 at 0";
const V6 = "match u8 0x60 0xf0 at 0";

test("protocol and ports are matched in both families", () => {
  expect(filters("-p udp -m udp --sport 53 --dport 1024")).toEqual([
    `${V4} match ip protocol 17 0xff match ip sport 53 0xffff match ip dport 1024 0xffff`,
    `${V6} match ip6 protocol 17 0xff match ip6 sport 53 0xffff match ip6 dport 1024 0xffff`,
  ]);
});

test("an address, a protocol or an explicit family says which", () => {
  expect(filters("-s 192.0.2.1 -d 10.0.0.0/8")).toEqual([
    `${V4} match ip src 192.0.2.1/32 match ip dst 10.0.0.0/8`,
  ]);
  expect(filters("-s 2001:db8::1")).toEqual([`${V6} match ip6 src 2001:db8::1/128`]);
  expect(filters("-p ipv6-icmp")).toEqual([`${V6} match ip6 protocol 58 0xff`]);
  expect(filters("-p tcp", 4)).toEqual([`${V4} match ip protocol 6 0xff`]);
});

test("a list becomes one filter for each", () => {
  expect(filters("-p tcp -m multiport --dports 80,443 -s 192.0.2.1,2001:db8::1")).toEqual([
    `${V4} match ip protocol 6 0xff match ip dport 80 0xffff match ip src 192.0.2.1/32`,
    `${V4} match ip protocol 6 0xff match ip dport 443 0xffff match ip src 192.0.2.1/32`,
    `${V6} match ip6 protocol 6 0xff match ip6 dport 80 0xffff match ip6 src 2001:db8::1/128`,
    `${V6} match ip6 protocol 6 0xff match ip6 dport 443 0xffff match ip6 src 2001:db8::1/128`,
  ]);
});

test("the keys of a range match its ports and no others", () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(port, port, port, (a, b, probe) => {
      const [from, to] = a < b ? [a, b] : [b, a];
      const matches = filters(`-p tcp --dport ${from}:${to}`, 4).filter((text) => {
        const [, value, mask] = /dport (\d+) (0x[0-9a-f]{4})$/.exec(text) ?? [];
        return (probe & Number(mask)) === Number(value);
      });
      expect(matches).toHaveLength(probe >= from && probe <= to ? 1 : 0);
    }),
  );
});
