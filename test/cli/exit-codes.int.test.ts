import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { planView } from "@sluice/proto/api/plans";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestLab } from "../e2e/lab.ts";
import { doorPolicy, REFUSED_LINE, refusedByKernel } from "./policies.ts";
import { openSluice, type Sluice } from "./sluice.ts";

/** What a script learns from `sluice`, and a person from its words, when not all is well. Two servers, one lab. */
let lab: Lab;
let sluice: Sluice;

beforeAll(async () => {
  lab = await startTestLab(2);
  sluice = await openSluice(lab.context);
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await lab?.stop();
});

function rulesOf(server: string): Promise<string> {
  return execIn(lab.fabric.host(server).namespace, "iptables", ["-S"]);
}

async function events(): Promise<number> {
  return (await lab.client.audit.verify.query()).events;
}

test.each([
  [["server", "show", "nosuch"], "there is no server nosuch\n  → sluice server ls shows"],
  [["rollout", "watch", "r-nosuch"], "there is no rollout r-nosuch\n  → sluice rollout ls shows"],
])("2: what isn't there, and where to look: %j", async (words, said) => {
  const { code, stderr } = await sluice.error(words);
  expect(code).toBe("NOT_FOUND");
  expect(stderr).toContain(said);
});

describe("2: a policy with problems", () => {
  test("every problem of every file with its place, then one line; nothing is stored", async () => {
    await sluice.file("good.yaml", doorPolicy());
    await sluice.file("bad.yaml", `${doorPolicy("22 -s 300.1.1.1")}fierwall: {}\n`);
    const before = await events();
    const { stderr, ...error } = await sluice.error(["policy", "apply", "-f", "."]);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^bad\.yaml:9:\d+: 300\.1\.1\.1 is no address/),
      expect.stringMatching(/^bad\.yaml:11:1: unknown field fierwall; did you mean firewall\?/),
      expect.stringMatching(/^sluice: .*nothing was stored$/),
    ]);
    expect(error.problems.map(({ place }) => place?.line)).toEqual([9, 11]);
    expect(await events()).toBe(before);
    const linted = await sluice.json("policy lint", ["good.yaml", "bad.yaml"], { code: 2 });
    expect(linted.files.map(({ problems }) => problems.length)).toEqual([0, 2]);
  });

  test("a file that a kernel refuses: its words, and the line of the file; nothing live is touched", async () => {
    await sluice.file("tproxy.yaml", refusedByKernel);
    const before = await Promise.all([rulesOf("server-1"), rulesOf("server-2")]);
    const { code, stdout, stderr } = await sluice.run(["plan", "-f", "tproxy.yaml", "--json"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^server-[12]: refused at rehearse$/m);
    expect(stderr).toMatch(new RegExp(`^ +tproxy\\.yaml:${REFUSED_LINE}: .*Invalid argument`, "m"));
    expect(stderr).toMatch(/^server-[12]: refused at rehearse, just as server-[12]$/m);
    const refusal = { step: "rehearse", origin: { policy: "tproxy", revision: 0, line: REFUSED_LINE } };
    expect(planView.parse(JSON.parse(stdout))).toMatchObject({
      state: "refused",
      answers: [{ refusal }, { refusal }],
    });
    expect(await Promise.all([rulesOf("server-1"), rulesOf("server-2")])).toEqual(before);
    expect((await sluice.run(["plan", "-f", "-"], { input: refusedByKernel })).stderr).toContain(
      `stdin:${REFUSED_LINE}: `,
    );
  });
});

describe("2: who may", () => {
  test("a viewer looks and changes nothing; an operator's name is the actor of what it does", async () => {
    const { token: viewer } = await sluice.json("token create", ["vera", "--role", "viewer"]);
    const { token: operator } = await sluice.json("token create", ["olga"]);
    await sluice.json("server ls", [], { token: viewer });
    const refused = await sluice.error(["list", "create", "bans"], { token: viewer });
    expect(refused).toMatchObject({ code: "FORBIDDEN", message: "vera is viewer; this needs operator" });
    expect(await sluice.json("list ls")).toEqual([]);
    await sluice.json("list create", ["bans", "--reason", "guessing"], { token: operator });
    expect(await sluice.json("audit log", ["--actor", "olga"])).toMatchObject({
      events: [{ type: "ListCreated", reason: "guessing" }],
    });
    expect(await sluice.error(["server", "ls"], { token: "wrong" })).toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });
});

test("addresses come from a file or stdin with comments, count for a while, and a wrong one is named by its line", async () => {
  await sluice.file("feed.txt", "# feed\n203.0.113.1\n\n203.0.113.2  # twice a day\n");
  const view = await sluice.json("list add", ["bans", "-f", "feed.txt", "--for", "1h"]);
  expect(view).toMatchObject({ added: 2 });
  const leftMs = Date.parse(view.until ?? "") - Date.now();
  expect(leftMs).toBeGreaterThan(3_500_000);
  expect(leftMs).toBeLessThanOrEqual(3_600_000);
  const input = "203.0.113.3\n300.1.1.1 # no\n";
  const { stderr } = await sluice.error(["list", "add", "bans", "-f", "-"], { input });
  expect(stderr).toContain("stdin:2:1: ");
  expect(await sluice.json("list show", ["bans"])).toMatchObject({ total: 2 });
});

test("applying the same again stores nothing; --prune --dry-run says what it would retire, and retires nothing", async () => {
  const door = await sluice.file("good.yaml", doorPolicy());
  const old = await sluice.file("old.yaml", "policy: old\ntargets: { servers: [nobody] }\n");
  await sluice.json("policy apply", [door, old]);
  const before = await events();
  expect((await sluice.json("policy apply", [door, old])).policies.map(({ action }) => action)).toEqual([
    "unchanged",
    "unchanged",
  ]);
  const foreseen = await sluice.json("policy apply", [door, "--prune", "--dry-run"]);
  expect(foreseen).toMatchObject({ dryRun: true, retired: ["old"] });
  expect(await events()).toBe(before);
  expect(await sluice.json("policy ls")).toHaveLength(2);
  expect(await sluice.json("policy apply", [door, "--prune"])).toMatchObject({ retired: ["old"] });
  expect(await sluice.json("policy ls")).toHaveLength(1);
});

test("2: while the fleet is frozen, no rollout starts; who is targeted and in no wave is said when one does", async () => {
  await sluice.run(["freeze", "--reason", "incident 4711"]);
  const refused = await sluice.error(["rollout", "start", "door", "--server", "server-1"]);
  expect(refused).toMatchObject({ code: "REFUSED", message: expect.stringContaining("incident 4711") });
  expect(await sluice.json("rollout ls")).toEqual([]);
  await sluice.run(["thaw"]);
  const { code, stdout } = await sluice.run(["rollout", "start", "door", "--server", "server-1"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}wave 1: server-1$/m);
  expect(stdout).toMatch(/^ {2}targeted, and in no wave: server-2$/m);
  expect(stdout).toMatch(/^wave 1\/1 {2}server-1 confirmed in \d+ ms$/m);
  expect(stdout).toMatch(/^rollout r-\w+ completed, 1 of 1 server confirmed$/m);
});

test("3: a rollout that shuts ssh halts at its first wave, and says which server undid it and why", async () => {
  await sluice.file("shut.yaml", doorPolicy("80"));
  await sluice.json("policy apply", ["shut.yaml"]);
  const { code, stdout, stderr } = await sluice.run(["rollout", "start", "door", "--waves", "1,100%"]);
  expect(code).toBe(3);
  expect(stderr).toMatch(/^wave 1\/2 {2}server-1 reverted at confirm\n {2}.*not reached from outside/m);
  expect(stdout).toMatch(/halted, 0 of 2 servers confirmed: server-1 reverted$/m);
  const [{ rollout = "" } = {}] = await sluice.json("rollout ls", ["--state", "halted"]);
  expect(await sluice.json("rollout show", [rollout], { code: 3 })).toMatchObject({
    haltedBy: "server-1",
    servers: [{ state: "reverted", refusal: { step: "confirm" } }, { state: "unreached" }],
  });
});

test("3: a kernel that differs and is only reported on; 0 once it is repaired", async () => {
  await sluice.file("watched.yaml", doorPolicy("22,443", "drift: report\n"));
  await sluice.json("policy apply", ["watched.yaml"]);
  await sluice.json("rollout start", ["door", "--server", "server-2"]);
  await execIn(lab.fabric.host("server-2").namespace, "iptables", ["-F", "SL-door-INPUT"]);
  await waitUntil("the drift's report", 60_000, async () => (await lab.client.drift.ls.query({})).length > 0);
  expect(await sluice.json("drift ls", [], { code: 3 })).toMatchObject([
    { server: "server-2", current: true },
  ]);
  expect(await sluice.json("drift show", ["server-2"], { code: 3 })).toMatchObject({ asked: { ok: true } });
  expect(await sluice.json("drift repair", ["server-2"])).toMatchObject({ repaired: true });
  expect(await sluice.json("drift ls")).toEqual([]);
});

describe("2 and 3: a policy whose test fails", () => {
  const tests = `tests:
  - { from: 203.0.113.9, to: tcp/8080, expect: accept }
  - { from: 203.0.113.9, to: tcp/2222, expect: drop }
`;
  const told = [
    "gate.yaml:13: 203.0.113.9 to tcp/2222: expected drop, but accept",
    "ip4/filter/SL-gate-INPUT: -p tcp -m multiport --dports 2222,8080 -j ACCEPT (gate.yaml:9)",
  ];

  test("a plan is refused and a rollout halts, with the rule that decided; nothing live is touched", async () => {
    await sluice.file("gate.yaml", doorPolicy("2222,8080", tests).replace("policy: door", "policy: gate"));
    const before = await Promise.all([rulesOf("server-1"), rulesOf("server-2")]);
    const plan = await sluice.run(["plan", "-f", "gate.yaml"]);
    expect(plan.code).toBe(2);
    expect(plan.stderr).toMatch(/^server-[12]: refused at test$/m);
    for (const line of told) expect(plan.stderr).toContain(line);

    await sluice.run(["policy", "apply", "-f", "gate.yaml"]);
    const failed = {
      packet: "203.0.113.9 to tcp/2222",
      expect: "drop",
      verdict: "accept",
      decided: { chain: "ip4/filter/SL-gate-INPUT", origin: { policy: "gate", revision: 1, line: 9 } },
      origin: { policy: "gate", revision: 1, line: 13 },
    };
    const rollout = await sluice.json("rollout start", ["gate", "--waves", "1,100%"], { code: 3 });
    expect(rollout).toMatchObject({ state: "halted", confirmed: 0 });
    expect(rollout.servers.find(({ wave }) => wave === 1)).toMatchObject({
      state: "refused",
      refusal: { step: "test", tests: [failed] },
    });
    const shown = await sluice.run(["rollout", "show", rollout.rollout]);
    expect(shown.stdout).toContain(told[0]?.replace("gate.yaml", "gate@1"));
    expect(await Promise.all([rulesOf("server-1"), rulesOf("server-2")])).toEqual(before);
  });
});
