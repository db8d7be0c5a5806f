import { rmSync } from "node:fs";
import type { Agent } from "@sluice/agents/run/agent";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { EMPTY_MANIFEST } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent, type TestAgentOptions } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall, refusedFirewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

const FOREIGN =
  "iptables -N f2b; iptables -A INPUT -p icmp -j f2b; ip6tables -A INPUT -p udp -j ACCEPT; ipset create other hash:ip; ipset add other 203.0.113.1";

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  await server.remove();
});

async function start(options: TestAgentOptions = {}): Promise<void> {
  agent = await startTestAgent(server, control, options);
}

async function outcome(count = 1) {
  await waitUntil(`outcome ${count}`, 60_000, () => control.outcomes().length >= count);
  await waitUntil("the agent at rest", 60_000, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

describe.each(["nft", "legacy"] as const)("with iptables-%s", (backend) => {
  test("a manifest becomes kernel state of both families, is verified, and is confirmed", async () => {
    await server.sh(FOREIGN);
    await start({ backend });
    const { manifest } = control.issue(firewall(), 1);
    expect(await outcome()).toMatchObject({ result: "confirmed", generation: 1, digest: manifest.digest });
    expect(control.confirms.map(({ phase }) => phase)).toEqual(["preflight", "confirm"]);
    const dump = await server.dump(backend);
    expect(dump.match(/-A INPUT -j SL-INPUT/g)).toHaveLength(2);
    expect(dump).toContain("add sl-web-office-hn4 198.51.100.7");
    expect(dump).toContain("add sl-protect-6 2001:db8::10");
    expect(dump).toContain("add sl-control-4 192.0.2.1,tcp:4222");
    expect(dump).toMatch(/class htb 1:20 .* rate 1Mbit/);
    expect(agent?.status()).toMatchObject({ state: "idle", holds: { generation: 1 } });
  });

  test("the empty manifest takes everything of ours away and nothing else", async () => {
    await server.sh(FOREIGN);
    const before = await server.dump(backend);
    await start({ backend });
    control.issue(firewall(), 1);
    await outcome(1);
    control.issue(EMPTY_MANIFEST, 2);
    expect(await outcome(2)).toMatchObject({ result: "confirmed", generation: 2 });
    expect(await server.dump(backend)).toBe(before);
  });

  test("when control says no, the server holds exactly what it held", async () => {
    await start({ backend });
    control.issue(firewall(), 1);
    await outcome(1);
    const before = await server.dump(backend);
    control.confirm = async ({ phase }) =>
      phase === "preflight" ? { ok: true } : { ok: false, reason: "tcp/22 can't be reached" };
    control.issue(firewall({ port: 2222, rate: "5mbit", office: ["203.0.113.0/24"] }), 2);
    expect(await outcome(2)).toMatchObject({
      result: "reverted",
      refusal: { step: "confirm", reason: expect.stringContaining("tcp/22 can't be reached") },
    });
    expect(await server.dump(backend)).toBe(before);
    expect(agent?.status()).toMatchObject({ holds: { generation: 1 } });
  });
});

test("the same content under a new generation is confirmed without a write", async () => {
  await start();
  control.issue(firewall(), 1);
  expect((await outcome(1))?.stats?.writes).toBeGreaterThan(0);
  control.issue(firewall(), 2);
  expect(await outcome(2)).toMatchObject({ result: "confirmed", stats: { writes: 0 } });
  expect(control.confirms).toHaveLength(2);
});

test("a rule the kernel refuses leaves the live kernel untouched, and its policy line is told", async () => {
  await start();
  const before = await server.dump();
  control.issue(refusedFirewall(), 1);
  expect(await outcome()).toMatchObject({
    result: "refused",
    refusal: {
      step: "rehearse",
      reason: expect.stringContaining("nobody"),
      origin: { policy: "web", revision: 2, line: 42 },
      script: expect.stringContaining("--match-set nobody"),
    },
  });
  expect(await server.dump()).toBe(before);
});

test("a policy's test that fails stops a plan and a change, with the rule that decided; the live kernel is untouched", async () => {
  await start();
  const before = await server.dump();
  const origin = { policy: "web", revision: 1, line: 9 };
  const packet = { protocol: "tcp", hook: "input", state: "new", family: 4, from: "203.0.113.9" } as const;
  const tests = [
    { ...packet, port: 23, expect: "drop", origin },
    { ...packet, port: 22, expect: "accept", origin },
  ] as const;
  const manifest = { ...firewall(), tests: [...tests] };
  const refusal = {
    step: "test",
    reason: "203.0.113.9 to tcp/23: expected drop, but accept: no rule ends it",
    origin,
    tests: [{ packet: "203.0.113.9 to tcp/23", expect: "drop", verdict: "accept", origin }],
  };
  control.plan("p-1", manifest);
  await waitUntil("the plan's answer", 30_000, () => control.reports.some(({ kind }) => kind === "plan"));
  expect(control.reports.find(({ kind }) => kind === "plan")).toMatchObject({ result: "refused", refusal });
  control.issue(manifest, 1);
  expect(await outcome()).toMatchObject({ result: "refused", refusal });
  expect(await server.dump()).toBe(before);
  const held = { ...firewall(), tests: [{ ...tests[0], expect: "accept" as const }, tests[1]] };
  control.issue(held, 2);
  expect(await outcome(2)).toMatchObject({ result: "confirmed" });
});

test("a root qdisc that isn't ours is refused by name, and stays", async () => {
  await server.sh("tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 50ms");
  await start();
  const before = await server.dump();
  control.issue(firewall(), 1);
  expect(await outcome()).toMatchObject({
    result: "refused",
    refusal: { step: "preflight", reason: expect.stringMatching(/eth0 has a root qdisc.*tbf/) },
  });
  expect(await server.dump()).toBe(before);
});

test("a chain that a foreign rule jumps to isn't taken away under it", async () => {
  await start();
  control.issue(firewall(), 1);
  await outcome(1);
  await server.sh("iptables -N other; iptables -A other -j SL-web-ssh");
  control.issue(EMPTY_MANIFEST, 2);
  expect(await outcome(2)).toMatchObject({
    result: "refused",
    refusal: { step: "preflight", reason: expect.stringContaining("SL-web-ssh") },
  });
});

test("while control can't be asked, nothing is written; then the change goes on by itself", async () => {
  let up = false;
  control.confirm = async () => {
    if (!up) throw new Error("no route to host");
    return { ok: true };
  };
  await start();
  const before = await server.dump();
  control.issue(firewall(), 1);
  await waitUntil("a try", 60_000, () => control.confirms.length > 0);
  expect(await server.dump()).toBe(before);
  expect(control.outcomes()).toEqual([]);
  up = true;
  expect(await outcome()).toMatchObject({ result: "confirmed" });
});

test("a probe that doesn't get through undoes the change and names the policy's line", async () => {
  const origin = { policy: "web", revision: 1, line: 12 };
  await start({
    dial: async () => {
      throw new Error("connection refused");
    },
  });
  const before = await server.dump();
  control.issue({ ...firewall(), deadlineMs: 4_000, probes: [{ tcp: "192.0.2.1:443", origin }] }, 1);
  expect(await outcome()).toMatchObject({ result: "reverted", refusal: { step: "probe", origin } });
  expect(await server.dump()).toBe(before);
});

test("where control falls silent but its endpoints answer, the deadline is moved once, and then it is undone", async () => {
  const dialled: string[] = [];
  const said: string[] = [];
  control.confirm = async ({ phase }) => {
    if (phase === "preflight") return { ok: true };
    throw new Error("no reply");
  };
  await start({
    dial: async (address, port) => void dialled.push(`${address}:${port}`),
    log: (message) => said.push(message),
  });
  control.issue({ ...firewall(), deadlineMs: 4_000 }, 1);
  expect(await outcome()).toMatchObject({ result: "reverted", refusal: { step: "confirm" } });
  expect(dialled).toEqual(["192.0.2.1:4222"]);
  expect(said.filter((message) => message.includes("deadline is moved"))).toHaveLength(1);
});

test.each(["apply", "verify", "probe", "confirm", "seal"] as const)(
  "a fault at step %s leads back to what was held",
  async (failing) => {
    let armed = false;
    await start({
      at: (step) => {
        if (armed && step === failing) throw new Error(`fault at ${step}`);
      },
    });
    control.issue(firewall(), 1);
    await outcome(1);
    const before = await server.dump();
    armed = true;
    control.issue(firewall({ port: 2222, rate: "3mbit" }), 2);
    expect(await outcome(2)).toMatchObject({ result: "reverted" });
    expect(await server.dump()).toBe(before);
  },
);

test.each([
  ["a first change", undefined],
  ["a change", firewall()],
])("%s whose undo files were cleaned away under it is undone all the same", async (_, standing) => {
  const bare = await server.dump();
  let isArmed = standing === undefined;
  await start({
    at(step) {
      if (step !== "probe" || !isArmed) return;
      rmSync(`${server.folder}/state/undo`, { recursive: true });
      throw new Error("given up");
    },
  });
  if (standing !== undefined) {
    control.issue(standing, 1);
    await outcome(1);
  }
  const before = standing === undefined ? bare : await server.dump();
  isArmed = true;
  control.issue(firewall({ port: 2222, rate: "2mbit", office: ["203.0.113.0/24"] }), 2);
  const count = standing === undefined ? 1 : 2;
  expect(await outcome(count)).toMatchObject({
    result: "reverted",
    refusal: { reason: expect.stringContaining("the files for its undo were lost") },
  });
  expect(await server.dump()).toBe(before);
});

test("a change that the kernel doesn't hold afterwards is undone", async () => {
  await start({
    at: async (step) => {
      if (step === "verify") await server.sh("iptables -F SL-web-ssh");
    },
  });
  const before = await server.dump();
  control.issue(firewall(), 1);
  expect(await outcome()).toMatchObject({
    result: "reverted",
    refusal: { step: "verify", reason: expect.stringContaining("ip4/filter/SL-web-ssh") },
  });
  expect(await server.dump()).toBe(before);
});

test("control is asked to dial every address of this server at the ports to be reached", async () => {
  const origin = { policy: "web", revision: 1, line: 13 };
  await start();
  control.issue({ ...firewall(), reach: [{ protocol: "tcp", port: 22, origin }] }, 1);
  await outcome();
  expect(control.confirms.map(({ phase, reach }) => ({ phase, reach }))).toEqual([
    { phase: "preflight", reach: [] },
    {
      phase: "confirm",
      reach: [
        { address: "192.0.2.10", port: 22 },
        { address: "2001:db8::10", port: 22 },
      ],
    },
  ]);
});

test("an older generation is rejected, told once, and changes nothing", async () => {
  await start();
  control.issue(firewall(), 5);
  await outcome(1);
  const before = await server.dump();
  control.issue(firewall({ port: 80 }), 4);
  control.issue(firewall({ port: 80 }), 4);
  await waitUntil("the rejection", 60_000, () => control.reports.some(({ kind }) => kind === "rejected"));
  expect(control.reports.filter(({ kind }) => kind === "rejected")).toHaveLength(1);
  expect(await server.dump()).toBe(before);
});

test("a plan tells the exact differences and writes nothing", async () => {
  await start();
  control.issue(firewall(), 1);
  await outcome(1);
  const before = await server.dump();
  control.plan("p1", firewall({ rate: "2mbit" }));
  control.plan("p2", refusedFirewall());
  await waitUntil(
    "both answers",
    60_000,
    () => control.reports.filter(({ kind }) => kind === "plan").length === 2,
  );
  const [first, second] = control.reports.filter((report) => report.kind === "plan");
  expect(first).toMatchObject({
    plan: "p1",
    result: "ok",
    differences: [{ object: "eth0/class/1:20", kind: "changed" }],
  });
  expect(second).toMatchObject({ plan: "p2", result: "refused", refusal: { origin: { line: 42 } } });
  expect(await server.dump()).toBe(before);
});

test("a plan names what is foreign in the same hook, and in which order packets meet it", async () => {
  await server.sh(FOREIGN);
  await start();
  control.plan("p1", firewall());
  await waitUntil("the answer", 60_000, () => control.reports.some(({ kind }) => kind === "plan"));
  const plan = control.reports.find((report) => report.kind === "plan");
  expect(plan?.warnings).toContain(
    "ip4/filter INPUT: SL-INPUT, then f2b: what SL-INPUT drops never gets to them",
  );
});

test("what was refused isn't tried again by a restarted agent", async () => {
  await start();
  control.issue(refusedFirewall(), 1);
  await outcome(1);
  await agent?.close();
  await start();
  control.plan("after", firewall());
  await waitUntil("the next thing it does", 60_000, () =>
    control.reports.some(({ kind }) => kind === "plan"),
  );
  expect(control.outcomes()).toHaveLength(1);
});
