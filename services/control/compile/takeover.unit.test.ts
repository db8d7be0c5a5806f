import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { compile } from "./compile.ts";
import { inputWith } from "./test-input.ts";

const SHAPED = "shaping: { eth0: { tbf: { rate: 1mbit, burst: 10k, latency: 50ms } } }";

function results(...texts: string[]) {
  const documents = texts.map((text, index) => {
    const parsed = parsePolicy(`policy: p${index}\ntargets: { servers: ["*"] }\n${text}`);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.document;
  });
  return compile(inputWith(documents));
}

function problems(text: string): string[] {
  const parsed = parsePolicy(`policy: p\ntargets: { servers: ["*"] }\n${text}`);
  return parsed.ok ? [] : parsed.problems.map(({ message }) => message);
}

test("claims name one thing each, in both families, and whose line it was", () => {
  const result = results(
    `vars: { uplink: eth0 }\ntakeover: [{ qdisc: $uplink }, { chain: filter/INPUT }, { chain-policy: filter/FORWARD, verdict: accept }, { table: nat }]\n${SHAPED}`,
  );
  const claims = result.ok
    ? result.manifest.takeover?.map(({ origin, ...claim }) => [claim, origin.line])
    : [];
  expect(claims).toEqual([
    [{ what: "qdisc", device: "eth0" }, 4],
    ...[4, 6].map((family) => [{ what: "chain", family, table: "filter", chain: "INPUT" }, 4]),
    ...[4, 6].map((family) => [
      { what: "chain-policy", family, table: "filter", hook: "FORWARD", verdict: "ACCEPT" },
      4,
    ]),
    ...[4, 6].map((family) => [{ what: "table", family, table: "nat" }, 4]),
  ]);
});

test("what a claim on a built-in chain leaves to others goes with it, to no other claim", () => {
  const result = results("takeover: [{ chain: filter/INPUT, except: [f2b-*, docker?] }]");
  expect(result.ok && result.manifest.takeover).toMatchObject(
    [4, 6].map((family) => ({ what: "chain", family, chain: "INPUT", except: ["f2b-*", "docker?"] })),
  );
  expect(problems("takeover: [{ chain: filter/old, except: [f2b-*] }]")).toEqual([
    "only of a built-in chain some rules can stay",
  ]);
  expect(problems("takeover: [{ table: nat, except: [f2b-*] }]")).toHaveLength(1);
  expect(problems("takeover: [{ chain: filter/INPUT, except: ['*'] }]")).toHaveLength(1);
});

test("a manifest without claims doesn't speak of them", () => {
  const result = results(SHAPED);
  expect(result.ok && "takeover" in result.manifest).toBe(false);
});

test.each([
  [
    "a qdisc that nothing is to replace",
    ["takeover: [{ qdisc: eth0 }]"],
    "nothing that leaves there is shaped",
  ],
  [
    "a policy of drop without what lets protected packets pass",
    ["takeover: [{ chain-policy: filter/INPUT, verdict: drop }]"],
    "only be drop where the hook has a default",
  ],
  [
    "two policies that want one chain's policy differently",
    [
      "takeover: [{ chain-policy: filter/INPUT, verdict: accept }]",
      "firewall: { default: { INPUT: drop } }\ntakeover: [{ chain-policy: filter/INPUT, verdict: drop }]",
    ],
    "says otherwise",
  ],
])("%s is refused", (_, texts, message) => {
  const result = results(...texts);
  expect(result).toMatchObject({ ok: false, problems: [{ message: expect.stringContaining(message) }] });
});

test.each([
  ["takeover: [{ qdisc: eth0, table: nat }]", "a claim names one thing"],
  ["takeover: [{ chain-policy: filter/INPUT }]", "chain-policy and verdict go together"],
  ["takeover: [{ chain: filter/SL-INPUT }]", "bad value for chain"],
  ["takeover: [{ table: nat6 }]", "bad value for table"],
  ["takeover: [{ qdisc: $nowhere }]", "undefined variable $nowhere"],
])("%s isn't understood, and says why", (text, message) => {
  expect(problems(text)).toContain(message);
});
