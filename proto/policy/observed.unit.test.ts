import { describe, expect, test } from "vitest";
import { reachedRules } from "./observed.ts";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith } from "./test-policy.ts";

describe("what can't be observed is refused at its place", () => {
  const OBSERVED =
    "mode: observe\nexternal: { chains: { filter: [F2B] }, sets: { f2b: hash:ip } }\nsets: { own: { type: hash:ip } }\n";
  test.each([
    ["mangle: { PREROUTING: [‸-j MARK --set-mark 1] }", "MARK can't be observed"],
    ["nat: { POSTROUTING: [-j LOG, ‸-j MASQUERADE] }", "MASQUERADE can't be observed"],
    ["raw: { PREROUTING: [‸-j NOTRACK] }", "NOTRACK can't be observed"],
    ["filter: { INPUT: [‸-j NFQUEUE --queue-num 1] }", "NFQUEUE can't be observed"],
    ["filter: { INPUT: [‸-j F2B] }", "F2B can't be observed"],
    ["filter: { INPUT: [-j SET --add-set own src, ‸-j SET --add-set f2b src] }", "SET can't be observed"],
  ])("%s", (fields, message) =>
    expectRefusal(
      policyWith(`${OBSERVED}firewall:\n  ${fields}\n`),
      `${message}: it doesn't only decide about a packet`,
    ),
  );

  test("shaping, and a class's match", () => {
    const shaping = "shaping:\n  eth0: { tbf: { rate: 1mbit, burst: 10k, latency: 50ms } }\n";
    expectRefusal(policyWith(`mode: observe\n‸${shaping}`), "shaping can't be observed");
    const match = "web: { rate: 1mbit, match: { rule: ‸-p tcp, mode: observe } }";
    expectRefusal(policyWith(`shaping: { eth0: { classes: { ${match} } } }\n`), "a match can't be observed");
  });

  test("in a chain that an observed rule goes to, and in no other", () => {
    const chains = (mode: string) =>
      policyWith(`firewall:
  mangle:
    PREROUTING: [{ rule: -j marks, mode: ${mode} }]
    marks: [‸-j MARK --set-mark 1]
`);
    expectRefusal(chains("observe"), "MARK can't be observed: it doesn't only decide about a packet");
    expect(parsePolicy(chains("enforce").replace("‸", "")).ok).toBe(true);
  });
});

test("a mode that there isn't is refused with those there are", () => {
  expectRefusal(policyWith("mode: ‸watch\n"), "bad value for mode", "one of observe, enforce, imported");
  const rule = policyWith("firewall: { filter: { INPUT: [{ rule: -j DROP, mode: ‸yes }] } }\n");
  expectRefusal(rule, "bad value for mode", "one of observe, enforce");
});

test("what is enforced says nothing of it, so that contents keep their digests", () => {
  const text = "firewall: { filter: { INPUT: [{ rule: -j DROP, mode: enforce }] } }\n";
  const parsed = parsePolicy(policyWith(`mode: enforce\n${text}`));
  if (!parsed.ok) throw new Error("refused");
  expect(parsed.document).not.toHaveProperty("mode");
  expect(parsed.document.firewall.chains[0]?.rules[0]).not.toHaveProperty("mode");
});

test("a chain is in the mode in which it is reached, and in both where it is reached in both", () => {
  const parsed = parsePolicy(
    policyWith(`firewall:
  filter:
    INPUT: [{ rule: -j tried, mode: observe }, -j both, { rule: -j both, mode: observe }]
    tried: [-j DROP, -j deeper]
    deeper: [-j ACCEPT]
    both: [-j LOG]
    nowhere: [-j DROP]
`),
  );
  if (!parsed.ok) throw new Error("refused");
  const reached = reachedRules(parsed.document).map(({ path, mode }) => `${path.split(".").at(-1)} ${mode}`);
  expect(reached).toEqual([
    ...["INPUT[0] observe", "INPUT[1] enforce", "INPUT[2] observe"],
    ...["tried[0] observe", "tried[1] observe", "deeper[0] observe"],
    ...["both[0] enforce", "both[0] observe", "nowhere[0] enforce"],
  ]);
});
