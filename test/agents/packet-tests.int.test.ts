import { runTests } from "@sluice/agents/packets/run-tests";
import { partsWithoutServer } from "@sluice/agents/run/rehearse-command";
import { factsWith } from "@sluice/control/compile/test-input";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { TestResult } from "@sluice/proto/manifest/test-result";
import { beforeAll, describe, expect, test } from "vitest";
import { type Backend, manifestOf, rehearsed } from "./rehearsed.ts";

/**
 * Policies' tests, as real packets through a real kernel. All of a backend's are sent in one go, side by side, as an agent
 * does it; each test below looks at its own.
 */
const DOCKER = { jumps: ["ip4/filter/FORWARD", "ip6/filter/FORWARD"], dockerUser: [4, 6] as (4 | 6)[] };
const FROM = { 4: "203.0.113.9", 6: "2001:db8:9::9" } as const;
const FAR = { 4: "198.51.100.5", 6: "[2001:db8:5::5]" } as const;
type Family = 4 | 6;

const CASES = [
  ["to: tcp/22", "accept", "SL-edge-ssh -j ACCEPT"],
  ["to: tcp/23", "drop", "SL-INPUT-end -j DROP"],
  ["to: tcp/81", "reject", "SL-edge-INPUT -p tcp -m tcp --dport 81 -j REJECT --reject-with tcp-reset"],
  ["to: udp/53", "accept", "SL-edge-INPUT -p udp -m udp --dport 53 -j ACCEPT"],
  ["to: udp/54", "reject", "SL-edge-INPUT -p udp -m udp --dport 54 -j REJECT"],
  ["to: udp/55", "drop", "SL-INPUT-end -j DROP"],
  ["to: icmp", "accept", "-j ACCEPT"],
  ["to: icmp, via: eth7", "drop", "-i eth7"],
  ["to: icmp, via: eth8", "reject", "-i eth8"],
  ["to: tcp/2300", "drop", "raw/SL-edge-PREROUTING -p tcp -m tcp --dport 2300"],
  ["to: tcp/23, state: established", "accept", "RELATED,ESTABLISHED -j ACCEPT"],
  ["to: udp/55, state: established", "accept", "RELATED,ESTABLISHED -j ACCEPT"],
  ["to: icmp, via: eth7, state: established", "accept", "RELATED,ESTABLISHED -j ACCEPT"],
  ["to: tcp/6000, state: established", "drop", "--dport 6000 -j DROP"],
  ["to: 'FAR:tcp/443', hook: forward, via: eth0, out: eth1", "accept", "-i eth0 -o eth1"],
  ["to: 'FAR:tcp/443', hook: forward, via: eth1, out: eth0", "drop", "SL-FORWARD-end -j DROP"],
  ["to: 'FAR:udp/443', hook: forward, via: eth0, out: eth1", "drop", "SL-FORWARD-end -j DROP"],
  ["to: 'FAR:tcp/80', hook: forward, state: established", "accept", "--ctstate ESTABLISHED -j ACCEPT"],
  ["to: 'FAR:icmp', hook: forward", "drop", "SL-FORWARD-end -j DROP"],
  ["OUT: 'FAR:tcp/25'", "reject", "SL-edge-OUTPUT -p tcp -m tcp --dport 25 -j REJECT"],
  ["OUT: 'FAR:udp/123'", "drop", "SL-edge-OUTPUT -p udp -m udp --dport 123 -j DROP"],
  ["OUT: 'FAR:tcp/443'", "accept", undefined],
  ["OUT: 'FAR:icmp'", "accept", undefined],
] as const;

/** What can't be said, and why. */
const UNKNOWN = [
  ["to: tcp/8080", "-m time (the time of day)"],
  ["to: tcp/8081", "-j NFQUEUE (a program decides)"],
  ["to: tcp/8082", "the chain theirs (another tool keeps it)"],
  ["to: tcp/22, via: lo", "its path can't be made"],
] as const;

const POLICY = `policy: edge
targets: { servers: ["*"] }
external: { chains: { filter: [theirs] } }
firewall:
  default: { INPUT: drop, FORWARD: drop }
  raw:
    PREROUTING: [ -p tcp --dport 2300 -j DROP ]
  filter:
    INPUT:
      - -p tcp --dport 6000 -j DROP
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -i eth7 -j DROP
      - -i eth8 -j REJECT
      - -p icmp -j ACCEPT
      - -p ipv6-icmp -j ACCEPT
      - -p tcp --dport 22 -j ssh
      - -p udp --dport 53 -j ACCEPT
      - -p udp --dport 54 -j REJECT
      - -p tcp --dport 81 -j REJECT --reject-with tcp-reset
      - -p udp -m time --timestart 08:00 -j ACCEPT -s 192.0.2.1
      - -p tcp --dport 8080 -m time --timestart 08:00 --timestop 08:01 -j ACCEPT
      - -p tcp --dport 8081 -j NFQUEUE
      - -p tcp --dport 8082 -j theirs
    ssh:
      - -m recent --name seen --set
      - -m recent --name seen --rcheck --seconds 60 --hitcount 2 -j DROP
      - -j ACCEPT
    FORWARD:
      - -m conntrack --ctstate ESTABLISHED -j ACCEPT
      - -i eth0 -o eth1 -p tcp --dport 443 -j ACCEPT
    OUTPUT:
      - -p tcp --dport 25 -j REJECT
      - -p udp --dport 123 -j DROP
tests:
`;

function testText(fields: string, family: Family, expected: string): string {
  const text = fields.replaceAll("FAR", FAR[family]);
  const whole = text.startsWith("OUT: ")
    ? `${text.replace("OUT", "to")}, hook: output`
    : `from: "${FROM[family]}", ${text}`;
  return `  - { ${whole}, expect: ${expected} }\n`;
}

const FAMILIES = [4, 6] as const;
/** each twice: what one remembers, another never sees */
const ALL = FAMILIES.flatMap((family) => [
  ...CASES.map(([fields, verdict]) => testText(fields, family, verdict)),
  testText("to: tcp/22", family, "accept"),
  ...UNKNOWN.map(([fields]) => testText(fields, family, "accept")),
]);

async function resultsOn(
  backend: Backend,
  text = POLICY + ALL.join(""),
  facts?: Facts,
): Promise<TestResult[]> {
  const parts = partsWithoutServer(backend);
  const manifest = manifestOf(text, facts);
  const { target, want } = await rehearsed(parts, manifest);
  const around = { devices: [], deviceTo: async () => undefined };
  return await runTests({ backend, drivers: parts.drivers, ...around }, manifest.tests ?? [], target, want);
}

describe.each(["nft", "legacy"] as const)("on %s", (backend) => {
  let results: TestResult[];
  beforeAll(async () => {
    results = await resultsOn(backend);
  });

  function resultOf(fields: string, family: Family, expected: string): TestResult | undefined {
    return results[ALL.indexOf(testText(fields, family, expected))];
  }

  describe.each(FAMILIES)("IPv%s", (family) => {
    test.each(CASES)("{ %s } ends in %s, by the rule that did it", (fields, verdict, by) => {
      const result = resultOf(fields, family, verdict);
      expect(result).toMatchObject({ verdict, expect: verdict });
      const { decided } = result ?? {};
      if (by === undefined) expect(decided).toBeUndefined();
      else {
        expect(`${decided?.chain} ${decided?.rule}`).toContain(by);
        expect(decided?.chain).toMatch(new RegExp(`^ip${family}/`));
        expect(decided).toMatchObject({ foreign: false, origin: { policy: "edge" } });
      }
    });

    test("nothing is remembered from one test to the next: the same twice is accepted twice", () => {
      const line = testText("to: tcp/22", family, "accept");
      const same = ALL.flatMap((text, index) => (text === line ? [results[index]?.verdict] : []));
      expect(same).toEqual(["accept", "accept"]);
    });

    test.each(UNKNOWN)("{ %s } is unknown: %s", (fields, reason) => {
      expect(resultOf(fields, family, "accept")).toMatchObject({
        verdict: "unknown",
        reason: expect.stringContaining(reason),
      });
    });
  });

  test("the rule that decided is named with the policy's line", () => {
    const line = 1 + POLICY.split("\n").findIndex((text) => text.includes("--dport 81"));
    expect(resultOf("to: tcp/81", 4, "reject")?.decided?.origin).toMatchObject({ policy: "edge", line });
  });
});

test("a rule of several addresses, and one with a set, decide under their own lines", async () => {
  const results = await resultsOn(
    "nft",
    `policy: edge
targets: { servers: ["*"] }
sets: { office: { type: hash:net, entries: [192.0.2.0/24] } }
firewall:
  filter:
    INPUT:
      - -s 198.51.100.1,198.51.100.2 -p tcp --dport 22 -j DROP
      - -m set --match-set office src -j REJECT
tests:
  - { from: 198.51.100.2, to: tcp/22, expect: drop }
  - { from: 192.0.2.77, to: tcp/22, expect: reject }
  - { from: 203.0.113.9, to: tcp/22, expect: accept }
`,
  );
  expect(results.map(({ verdict, decided }) => [verdict, decided?.origin?.line])).toEqual([
    ["drop", 7],
    ["reject", 8],
    ["accept", undefined],
  ]);
});

test("a packet that a rule sends elsewhere is unknown, not dropped", async () => {
  const [result] = await resultsOn(
    "nft",
    `policy: edge
targets: { servers: ["*"] }
firewall:
  nat:
    PREROUTING:
      - { rule: "-p tcp --dport 8080 -j DNAT --to-destination 10.9.9.9:80", family: ipv4 }
tests: [{ from: 203.0.113.9, to: tcp/8080, expect: accept }]
`,
  );
  expect(result).toMatchObject({ verdict: "unknown", reason: expect.stringContaining("sent elsewhere") });
});

test("on a Docker host what decides in DOCKER-USER is told; what Docker decides after it is unknown", async () => {
  const results = await resultsOn(
    "nft",
    `policy: edge
targets: { servers: ["*"] }
external: { chains: { filter: [DOCKER-USER] } }
firewall:
  filter:
    FORWARD:
      - -p tcp --dport 23 -j DROP
tests:
  - { from: 203.0.113.9, to: "198.51.100.5:tcp/23", hook: forward, expect: drop }
  - { from: 203.0.113.9, to: "198.51.100.5:tcp/80", hook: forward, expect: accept }
`,
    { ...factsWith({}, ["eth0", "eth1"]), foreign: DOCKER },
  );
  expect(results).toMatchObject([
    { verdict: "drop", decided: { origin: { line: 7 } } },
    { verdict: "unknown", reason: expect.stringContaining("the chain DOCKER-USER") },
  ]);
});
