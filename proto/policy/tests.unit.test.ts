import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

function testsOf(text: string) {
  const result = parsePolicy(policyWith(text));
  return result.ok ? result.document.tests : result.problems;
}

test("a test is a packet and what is to become of it, with its line and what wasn't said filled in", () => {
  expect(testsOf("tests:\n  - { from: 203.0.113.9, to: tcp/22, expect: drop }\n")).toEqual([
    { from: "203.0.113.9", to: "tcp/22", hook: "input", state: "new", expect: "drop", line: 4, column: 5 },
  ]);
});

test.each([
  "from: 203.0.113.9, to: icmp",
  "from: '203.0.113.9:5353', to: udp/53",
  "from: '[2001:db8::9]:5353', to: '[2001:db8::1]:udp/53'",
  "from: '2001:db8::9', to: '[2001:db8::1]:icmp'",
  "from: 203.0.113.9, to: '192.0.2.5:tcp/80', hook: forward, via: eth0, out: eth1.7",
  "to: '192.0.2.5:tcp/80', hook: output, state: established",
])("{ %s } is taken", (fields) => {
  expect(testsOf(`tests: [{ ${fields}, expect: accept }]`)).toMatchObject([{ expect: "accept" }]);
});

test("what a variable can be is checked, each of its values", () => {
  const vars = "vars: { admin: { value: 192.0.2.9, servers: { far: nowhere } } }\n";
  expectRefusal(
    policyWith(`${vars}tests: [{ from: ‸$admin, to: tcp/22, expect: accept }]`),
    "nowhere is a name, which may resolve differently over time",
  );
});

describe("each field refuses what it can't take, where it stands", () => {
  const f = "from: 192.0.2.9";
  test.each([
    ["tests: ‸{}", "bad value for tests"],
    ["tests: [‸drop]", "bad value for tests[0]"],
    [`tests: [‸{ ${f}, to: tcp/22 }]`, "expect is missing"],
    [`tests: [‸{ ${f}, expect: drop }]`, "to is missing"],
    [`tests: [‸{ to: tcp/22, expect: drop }]`, "from is missing"],
    [`tests: [{ ${f}, to: tcp/22, expect: ‸allow }]`, "bad value for expect"],
    [`tests: [{ ${f}, to: tcp/22, expect: drop, hook: ‸INPUT }]`, "bad value for hook"],
    [`tests: [{ ${f}, to: tcp/22, expect: drop, state: ‸related }]`, "bad value for state"],
    [`tests: [{ ${f}, to: tcp/22, expect: drop, ‸dev: eth0 }]`, "unknown field dev"],
    [`tests: [{ ${f}, to: ‸ssh, expect: drop }]`, "this is nowhere that a packet can go"],
    [`tests: [{ ${f}, to: ‸tcp, expect: drop }]`, "tcp needs a port"],
    [`tests: [{ ${f}, to: ‸tcp/0, expect: drop }]`, "tcp needs a port"],
    [`tests: [{ ${f}, to: ‸icmp/8, expect: drop }]`, "icmp has no ports: a test sends an echo request"],
    [`tests: [{ ${f}, to: ‸"192.0.2.0/24:tcp/22", expect: drop }]`, "192.0.2.0/24 is more than one address"],
    [`tests: [{ ${f}, to: ‸"[192.0.2.1]:tcp/22", expect: drop }]`, "brackets are for IPv6"],
    [`tests: [{ from: ‸"192.0.2.9:0", to: tcp/22, expect: drop }]`, "0 is no port"],
    [`tests: [{ from: ‸192.0.2.0/24, to: tcp/22, expect: drop }]`, "192.0.2.0/24 is more than one address"],
    [`tests: [{ from: ‸"192.0.2.9:53", to: icmp, expect: drop }]`, "icmp has no ports"],
    [
      `tests: [{ from: ‸"::ffff:192.0.2.9", to: tcp/22, expect: drop }]`,
      "::ffff:192.0.2.9 is an IPv4 address written as IPv6: 192.0.2.9",
    ],
    [`tests: [{ ${f}, to: ‸"[2001:db8::1]:tcp/22", expect: drop }]`, "from and to are of different families"],
    [`tests: [{ to: ‸tcp/22, hook: output, expect: drop }]`, "a packet of output needs an address to go to"],
    [
      `tests: [{ ${f}, to: tcp/22, out: ‸eth1, expect: drop }]`,
      "a packet of input goes out by no second device",
    ],
    [`tests: [{ ${f}, to: tcp/22, via: ‸eth0/1, expect: drop }]`, "this isn't a device"],
    [`tests: [{ ${f}, to: tcp/22, via: ‸"eth0 up", expect: drop }]`, "this isn't a device"],
  ])("%s", (fields, message) => expectRefusal(policyWith(fields), message));
});
