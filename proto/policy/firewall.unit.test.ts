import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findCycles } from "./chain-cycles.ts";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

describe("chains are refused by name", () => {
  test.each([
    ["filter: { ‸PREROUTING: [] }", "the table filter has no chain PREROUTING"],
    ["nat: { ‸FORWARD: [] }", "the table nat has no chain FORWARD"],
    ["raw: { ‸INPUT: [] }", "the table raw has no chain INPUT"],
    ["filter: { ‸input: [] }", "input is the built-in chain INPUT in small letters"],
    [`filter: { ‸${"c".repeat(29)}: [] }`, "this chain's name is too long"],
    ["filter: { ‸a b: [] }", "a b can't be a chain's name"],
    ["filter: { ‸-a: [] }", "-a can't be a chain's name"],
    ["filter: { ‸LOG: [] }", "LOG is a target of iptables"],
    ["filter: { INPUT: ‸{} }", "bad value for INPUT"],
    ["filter: { INPUT: [others, ‸others] }", "the rules of others stand in one place"],
    ["filter: { own: [‸others] }", "others have no rules in own, a chain of this policy"],
    ["filter: ‸[]", "bad value for filter"],
    ["‸security: {}", "unknown field security"],
    ["default: { ‸PREROUTING: drop }", "PREROUTING can't have a default"],
    ["default: { INPUT: ‸accept }", "bad value for INPUT"],
    ["default: { INPUT: ‸{ log: x } }", "verdict is missing"],
    [`default: { INPUT: { verdict: drop, log: ‸${"x".repeat(30)} } }`, "bad value for log"],
  ])("%s", (fields, message) => expectRefusal(policyWith(`firewall:\n  ${fields}\n`), message));

  test("a chain without rules says so", () => {
    expectRefusal(
      policyWith("firewall:\n  filter:\n    INPUT:‸\n"),
      "bad value for INPUT",
      "a list of rules; [] for an empty chain",
    );
  });

  test("an over-long name is refused with its length", () => {
    const result = parsePolicy(policyWith(`firewall: { filter: { ${"c".repeat(29)}: [] } }`));
    expect(result).toMatchObject({ problems: [{ found: "29 characters", expected: "at most 28" }] });
  });

  test("one of another tool can't be written", () => {
    const external = "external: { chains: { filter: [f2b-sshd] } }\n";
    expectRefusal(
      policyWith(`${external}firewall: { filter: { ‸f2b-sshd: [] } }`),
      "the chain f2b-sshd is external already",
    );
  });
});

test("every table has its built-in chains and takes chains of one's own", () => {
  const result = parsePolicy(
    policyWith(`firewall:
  raw: { PREROUTING: [], OUTPUT: [], own: [] }
  mangle: { PREROUTING: [], INPUT: [], FORWARD: [], OUTPUT: [], POSTROUTING: [], own: [] }
  nat: { PREROUTING: [], INPUT: [], OUTPUT: [], POSTROUTING: [], own: [] }
  filter: { INPUT: [], FORWARD: [], OUTPUT: [-j own], own: [] }
  default: { INPUT: drop, FORWARD: reject, OUTPUT: { verdict: drop, log: "OUT: " } }
`),
  );
  expect(
    result.ok && result.document.firewall.chains.map(({ table, name }) => `${table} ${name}`).length,
  ).toBe(18);
  expect(result.ok && result.document.firewall.defaults).toMatchObject([
    { hook: "INPUT", verdict: "drop", line: 8 },
    { hook: "FORWARD", verdict: "reject" },
    { hook: "OUTPUT", verdict: "drop", log: "OUT: " },
  ]);
});

describe("chains that go round in a circle are refused, with the way", () => {
  test.each([
    ["a: [-j b], b: [-g c], c: [‸-p tcp -j a]", "the chains go round in a circle: a -> b -> c -> a"],
    ["a: [‸-j a]", "the chains go round in a circle: a -> a"],
    ["INPUT: [-j a], a: [-j b], b: [‸-j b]", "the chains go round in a circle: b -> b"],
  ])("%s", (chains, message) => expectRefusal(policyWith(`firewall: { filter: { ${chains} } }`), message));

  test("the same name in another table is another chain", () => {
    const chains = "firewall: { filter: { a: [-j b], b: [] }, mangle: { b: [-j a], a: [] } }";
    expect(parsePolicy(policyWith(chains)).ok).toBe(true);
  });

  test("a circle is found exactly where following the jumps comes back", () => {
    const node = fc.integer({ min: 0, max: 5 }).map(String);
    const jumps = fc.array(fc.record({ from: node, to: node, rule: fc.constant(0) }), { maxLength: 12 });
    fc.assert(
      fc.property(jumps, (edges) => {
        const reach = new Set(edges.map(({ from, to }) => `${from}>${to}`));
        for (let round = 0; round < 6; round += 1)
          for (const one of [...reach])
            for (const { from, to } of edges)
              if (one.endsWith(`>${from}`)) reach.add(`${one.split(">")[0]}>${to}`);
        const isCyclic = [...reach].some((pair) => pair.split(">")[0] === pair.split(">")[1]);
        expect(findCycles(edges).length > 0).toBe(isCyclic);
      }),
    );
  });
});
