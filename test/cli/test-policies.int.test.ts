import { afterAll, beforeAll, expect, test } from "vitest";
import { openSluice, type Sluice } from "./sluice.ts";

/** `sluice test` as a CI job runs it: no control, no server, an empty home. The kernel is real. */
let sluice: Sluice;
beforeAll(async () => {
  sluice = await openSluice({ url: "http://127.0.0.1:9", token: "none" });
});
afterAll(() => sluice?.[Symbol.asyncDispose]());

function door(expected: string, more = ""): string {
  return `policy: door
description: a door
targets: { labels: { role: web } }
vars: { port: { value: "22", labels: { "role=web": "2222" } } }
blocks: [bans]
shaping: { wan0: { tbf: { rate: 1mbit, burst: 10k, latency: 50ms } } }
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -i wan0 -p tcp --dport $port -j ACCEPT
      - -m statistic --mode random --probability 0.5 -p tcp --dport 99 -j ACCEPT${more}
tests:
  - { from: 203.0.113.9, to: tcp/2222, via: wan0, expect: ${expected} }
  - { from: "2001:db8::9", to: icmp, via: wan0, expect: drop }
`;
}

test("where every test holds it exits 0, and a line tells each with the rule that decided", async () => {
  const file = await sluice.file("door.yaml", door("accept"));
  const { code, stdout, stderr } = await sluice.run(["test", file]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")).toEqual([
    "✓ door.yaml:14: 203.0.113.9 to tcp/2222 by wan0: accept",
    "    ip4/filter/SL-door-INPUT: -i wan0 -p tcp -m tcp --dport 2222 -j ACCEPT (door.yaml:11)",
    "✓ door.yaml:15: 2001:db8::9 to icmp by wan0: drop",
    "    ip6/filter/SL-INPUT-end: -j DROP (door.yaml:8)",
    "door.yaml: 2 of 2 tests held",
    "",
  ]);
});

test("one that fails exits 3: what was expected, what happened, and by which line", async () => {
  const file = await sluice.file("door.yaml", door("drop"));
  const view = await sluice.json("test", [file], { code: 3 });
  expect(view).toMatchObject({
    ok: false,
    files: [
      {
        policy: "door",
        tests: [
          { expect: "drop", verdict: "accept", origin: { line: 14 }, decided: { origin: { line: 11 } } },
          { verdict: "drop" },
        ],
      },
    ],
  });
  const { stdout } = await sluice.run(["test", file]);
  expect(stdout).toContain("✗ door.yaml:14: 203.0.113.9 to tcp/2222 by wan0: expected drop, but accept");
});

test("one that can't be told exits 3 too, by name", async () => {
  const text = `${door("accept")}  - { from: 203.0.113.9, to: tcp/99, via: wan0, expect: accept }\n`;
  const { code, stdout } = await sluice.run(["test", await sluice.file("door.yaml", text)]);
  expect({ code, stdout }).toEqual({
    code: 3,
    stdout: expect.stringContaining(
      "? door.yaml:16: 203.0.113.9 to tcp/99 by wan0: expected accept, unknown: it meets -m statistic (chance)",
    ),
  });
});

test("a policy that only observes is tested as if it were enforced", async () => {
  const text = door("accept")
    .replace("description: a door", "mode: observe")
    .replace(/^shaping.*$/m, "");
  const { code, stdout } = await sluice.run(["test", await sluice.file("door.yaml", text)]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("2 of 2 tests held") });
});

test("a wrong file, and one that the kernel refuses, exit 2 with the place", async () => {
  const wrong = await sluice.file("wrong.yaml", door("accept").replace("tcp/2222", "ssh"));
  const refused = await sluice.file("refused.yaml", door("accept", "\n      - -p tcp -j NONESUCH"));
  const lines = await sluice.run(["test", wrong, refused]);
  expect(lines.code).toBe(2);
  expect(lines.stderr).toMatch(/^wrong\.yaml:14:\d+: this is nowhere that a packet can go/);
  expect(lines.stdout).toContain("refused.yaml:13: ");
  expect(await sluice.json("test", [refused], { code: 2 })).toMatchObject({
    files: [{ problems: [], refusal: { step: "rehearse", origin: { line: 13 } }, tests: [] }],
  });
});
