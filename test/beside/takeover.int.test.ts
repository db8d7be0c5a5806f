import type { Namespace } from "@sluice/agents/exec/namespace";
import type { Agent } from "@sluice/agents/run/agent";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { EMPTY_MANIFEST, type Manifest, type ManifestTakeover } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl, type FakeControl } from "../agents/fake-link.ts";
import { firewall } from "../agents/manifests.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";

/** A hand-written firewall and an uplink shaped by hand, claimed by name. */
const WAIT_MS = 60_000;
const origin = { policy: "web", revision: 1, line: 9 };

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;
let issued: number;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  issued = 0;
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  await server.remove();
});

async function issue(manifest: Manifest) {
  issued += 1;
  const count = control.outcomes().length + 1;
  control.issue(manifest, issued);
  await waitUntil(`outcome ${issued}`, WAIT_MS, () => control.outcomes().length >= count);
  await waitUntil("the agent at rest", WAIT_MS, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

function refuseAll(): void {
  control.confirm = async ({ phase }) => (phase === "preflight" ? { ok: true } : { ok: false, reason: "no" });
}

describe.each(["nft", "legacy"] as const)("with iptables-%s", (backend) => {
  const tool = `iptables-${backend}`;
  const BY_HAND = [
    `${tool} -N old`,
    `${tool} -A old -s 198.51.100.0/24 -m comment --comment "two words" -j DROP`,
    `${tool} -A old -p tcp --dport 22 -j ACCEPT`,
    `${tool} -A INPUT -i lo -j ACCEPT`,
    `${tool} -A INPUT -p tcp -j old`,
    `${tool} -A INPUT -p icmp -j ACCEPT`,
    `${tool} -N keep`,
    `${tool} -A FORWARD -j keep`,
    `${tool} -t nat -N web`,
    `${tool} -t nat -A web -p tcp --dport 8080 -j REDIRECT --to-ports 80`,
    `${tool} -t nat -A PREROUTING -j web`,
    `${tool} -t nat -A PREROUTING -p udp -j RETURN`,
    `${tool} -P INPUT DROP`,
    `ip6${tool.slice(2)} -P INPUT DROP`,
  ].join("; ");
  const CLAIMS: ManifestTakeover[] = [
    { what: "chain", family: 4, table: "filter", chain: "old", origin },
    { what: "chain", family: 4, table: "filter", chain: "INPUT", origin },
    { what: "chain-policy", family: 4, table: "filter", hook: "INPUT", verdict: "ACCEPT", origin },
    { what: "chain-policy", family: 6, table: "filter", hook: "INPUT", verdict: "ACCEPT", origin },
    { what: "table", family: 4, table: "nat", origin },
  ];
  const claiming = (takeover = CLAIMS): Manifest => ({ ...firewall(), devices: [], takeover });
  const plain: Manifest = { ...firewall(), devices: [] };

  test("what is claimed goes, is told with its text, and comes back byte for byte when the claim is gone", async () => {
    await server.sh(BY_HAND);
    const before = await server.dump(backend);
    agent = await startTestAgent(server, control, { backend });
    const outcome = await issue(claiming());
    expect(outcome).toMatchObject({ result: "confirmed" });
    expect(outcome?.taken?.map(({ what }) => what)).toEqual(
      expect.arrayContaining(["ip4/filter", "ip4/nat", "ip6/filter"]),
    );
    expect(outcome?.taken?.map(({ text }) => text).join("")).toContain('--comment "two words" -j DROP');
    const held = await server.dump(backend);
    expect(held).not.toMatch(/old|web -p|PREROUTING|INPUT DROP|-A INPUT -p icmp/);
    expect(held).toContain("-A FORWARD -j keep");
    expect(agent.status().differences).toEqual([]);

    expect(await issue(plain)).toMatchObject({ result: "confirmed" });
    expect(await server.dump(backend)).toContain(":INPUT DROP");
    expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "confirmed" });
    expect(await server.dump(backend)).toBe(before);
  });

  test("a takeover that isn't confirmed is undone, and so is giving back", async () => {
    await server.sh(BY_HAND);
    const before = await server.dump(backend);
    agent = await startTestAgent(server, control, { backend });
    refuseAll();
    expect(await issue(claiming())).toMatchObject({ result: "reverted" });
    expect(await server.dump(backend)).toBe(before);

    control.confirm = async () => ({ ok: true });
    expect(await issue(claiming())).toMatchObject({ result: "confirmed" });
    const held = await server.dump(backend);
    refuseAll();
    expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "reverted" });
    expect(await server.dump(backend)).toBe(held);

    control.confirm = async () => ({ ok: true });
    expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "confirmed" });
    expect(await server.dump(backend)).toBe(before);
  });

  test("a claimed policy that somebody changes is drift and is mended; uninstall gives all back", async () => {
    await server.sh(BY_HAND);
    const before = await server.dump(backend);
    agent = await startTestAgent(server, control, { backend, intervals: { pollMs: 200 } });
    await issue(claiming());
    const held = await server.dump(backend);
    await server.sh(`${tool} -w 5 -P INPUT DROP; ${tool} -w 5 -A INPUT -p sctp -j DROP`);
    await waitUntil("the repair", WAIT_MS, async () => (await server.dump(backend)) === held);
    await waitUntil("the report", WAIT_MS, () =>
      control
        .drifts()
        .some(({ differences }) => differences.some(({ object }) => object === "ip4/filter/INPUT")),
    );
    await agent.close();
    agent = undefined;
    let bare = 0;
    const watched: Namespace = {
      ...server.at,
      async run(...command) {
        const ran = await server.at.run(...command);
        const rules = await server.sh(`${tool} -w 5 -S INPUT`);
        if (!/-j SL-INPUT$/m.test(rules) && !/-j old$/m.test(rules)) bare += 1;
        return ran;
      },
    };
    await uninstall(await openStateFolder(`${server.folder}/state`), watched);
    expect(await server.dump(backend)).toBe(before);
    expect(bare).toBe(0); // there was no moment with neither
  });

  describe("beside a jump of another tool in the same chain", () => {
    const jump = "-p udp --dport 9 -j f2b-x";
    const spelled = "-p udp -m udp --dport 9 -j f2b-x";
    const early = "-i lo -j ACCEPT";
    const late = "-p tcp -m tcp --dport 22 -j ACCEPT";
    const claim: ManifestTakeover = {
      ...{ what: "chain", family: 4, table: "filter", chain: "INPUT", except: ["f2b-*"], origin },
    };
    const own = firewall();
    const end = { family: 4, table: "filter" } as const;
    const manifest: Manifest = {
      ...own,
      devices: [],
      chains: [...own.chains, { ...end, name: "SL-INPUT-end", rules: [{ args: "-p icmp -j DROP" }] }],
      hooks: [...own.hooks, { ...end, hook: "INPUT", chain: "SL-INPUT-end", at: "tail" }],
      takeover: [claim],
    };
    const byHand = (...rules: string[]) =>
      server.sh(`${tool} -N f2b-x; ${rules.map((rule) => `${tool} -A INPUT ${rule}`).join("; ")}`);
    async function inChain(): Promise<string[]> {
      const lines = (await server.sh(`${tool} -w 5 -S INPUT`)).trim().split("\n").slice(1);
      return lines.map((line) => line.slice("-A INPUT ".length));
    }
    const held = ["-j SL-INPUT", spelled, "-j SL-INPUT-end"];

    test.each([
      ["behind it", [jump, early, late]],
      ["before and behind it", [early, jump, late]],
      ["before it", [early, late, jump]],
    ])(
      "rules by hand %s go and come back, it never moves, and at no moment neither stands",
      async (_, rules) => {
        await byHand(...rules);
        const before = await server.dump(backend);
        let bare = 0;
        const look = async () => {
          const now = await inChain();
          const isWhole =
            held.every((rule) => now.includes(rule)) || [early, late].every((rule) => now.includes(rule));
          if (!isWhole || !now.includes(spelled)) bare += 1;
        };
        agent = await startTestAgent(server, control, { backend, at: look });
        refuseAll();
        expect(await issue(manifest)).toMatchObject({ result: "reverted" });
        expect(await server.dump(backend)).toBe(before);
        control.confirm = async () => ({ ok: true });
        expect(await issue(manifest)).toMatchObject({ result: "confirmed" });
        expect(await inChain()).toEqual(held);
        expect(agent.status().differences).toEqual([]);
        refuseAll();
        expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "reverted" });
        expect(await inChain()).toEqual(held);
        control.confirm = async () => ({ ok: true });
        expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "confirmed" });
        expect(await server.dump(backend)).toBe(before);
        expect(await issue(manifest)).toMatchObject({ result: "confirmed" });
        await agent.close();
        agent = undefined;
        await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
        expect(await server.dump(backend)).toBe(before);
        expect(bare).toBe(0);
      },
    );

    test("what that tool adds later stays, also when the claim leaves it more, and what else is added goes", async () => {
      await byHand(early, jump, late);
      agent = await startTestAgent(server, control, { backend, intervals: { pollMs: 200 } });
      expect(await issue(manifest)).toMatchObject({ result: "confirmed" });
      await server.sh(
        `${tool} -w 5 -N f2b-y; ${tool} -w 5 -I INPUT -p sctp -j f2b-y; ${tool} -w 5 -A INPUT -p dccp -j DROP`,
      );
      await waitUntil("the repair", WAIT_MS, async () => !(await inChain()).includes("-p dccp -j DROP"));
      expect(await inChain()).toEqual(["-p sctp -j f2b-y", ...held]);
      const takeover: ManifestTakeover[] = [{ ...claim, except: ["f2b-*", "other-*"] }];
      expect(await issue({ ...manifest, takeover })).toMatchObject({ result: "confirmed" });
      expect(await inChain()).toEqual(["-p sctp -j f2b-y", ...held]);
      expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "confirmed" });
      expect(await inChain()).toEqual([early, "-p sctp -j f2b-y", spelled, late]);
    });

    test("a rule between two such jumps isn't taken, by its text", async () => {
      await byHand(jump, late, "-p tcp -j f2b-x");
      const before = await server.dump(backend);
      agent = await startTestAgent(server, control, { backend });
      expect(await issue(manifest)).toMatchObject({
        ...{ result: "refused" },
        refusal: { step: "preflight", reason: expect.stringContaining("--dport 22 -j ACCEPT") },
      });
      expect(await server.dump(backend)).toBe(before);
    });
  });

  test("a chain that an unclaimed one leads to isn't taken, by name", async () => {
    await server.sh(`${BY_HAND}; ${tool} -A keep -j old`);
    const before = await server.dump(backend);
    agent = await startTestAgent(server, control, { backend });
    expect(await issue(claiming())).toMatchObject({
      result: "refused",
      refusal: { step: "preflight", reason: expect.stringContaining("ip4/filter keep isn't claimed") },
    });
    expect(await server.dump(backend)).toBe(before);
  });
});

test("a table with rules that only nft can spell is refused: what iptables-save prints of it isn't true", async () => {
  await server.sh(
    "iptables-nft -A INPUT -p icmp -j ACCEPT; nft add rule ip filter INPUT ip saddr '{ 8.8.8.8, 9.9.9.9 }' drop",
  );
  const before = await server.sh("nft -a list table ip filter");
  agent = await startTestAgent(server, control);
  const takeover: ManifestTakeover[] = [{ what: "table", family: 4, table: "filter", origin }];
  expect(await issue({ ...firewall(), devices: [], takeover })).toMatchObject({
    result: "refused",
    refusal: {
      step: "preflight",
      reason: expect.stringMatching(/can't be trusted: nft shows in it .*8\.8\.8\.8/),
    },
  });
  expect(await server.sh("nft -a list table ip filter")).toBe(before);
});

test.each(["ingress", "clsact"])(
  "an %s hook of others is refused by name, and stands as it was",
  async (kind) => {
    await server.sh(
      `tc qdisc add dev eth0 ${kind}; tc filter add dev eth0 ingress protocol ip prio 9 u32 match ip dport 7 0xffff flowid 1:1`,
    );
    const before = await server.dump();
    agent = await startTestAgent(server, control);
    const { devices, ...rest } = firewall();
    const tree = devices[0]?.egress ?? { qdiscs: [], classes: [], filters: [] };
    const incoming = [{ device: "eth0", ingress: { ifb: "slifb-eth0", tree } }];
    expect(await issue({ ...rest, devices: incoming })).toMatchObject({
      result: "refused",
      refusal: {
        step: "preflight",
        reason: expect.stringContaining(
          `eth0 has an ingress hook that isn't ours (${kind} ffff:): remove it`,
        ),
      },
    });
    expect(await server.dump()).toBe(before);
  },
);

test("a set of others under a name of ours and with another type is refused while they use it, and stands as it was", async () => {
  await server.sh(
    "ipset create sl-web-office-hn4 hash:ip; ipset add sl-web-office-hn4 203.0.113.1; iptables -A INPUT -m set --match-set sl-web-office-hn4 src -j DROP",
  );
  const before = await server.dump();
  agent = await startTestAgent(server, control);
  const outcome = await issue({ ...firewall(), devices: [] });
  expect(outcome).toMatchObject({
    result: "refused",
    refusal: { reason: expect.stringContaining("sl-web-office-hn4") },
  });
  expect(await server.dump()).toBe(before);
});

describe("a root qdisc of others", () => {
  const BY_HAND = [
    "tc qdisc add dev eth0 root handle 7: htb default 30 r2q 10",
    "tc class add dev eth0 parent 7: classid 7:1 htb rate 2mbit ceil 2mbit burst 15k cburst 15k quantum 1514",
    "tc class add dev eth0 parent 7:1 classid 7:30 htb rate 1mbit ceil 2mbit burst 15k cburst 15k quantum 1514",
    "tc qdisc add dev eth0 parent 7:30 handle 30: pfifo limit 50",
    "tc filter add dev eth0 parent 7: protocol ip prio 5 u32 match ip dport 22 0xffff flowid 7:30",
  ].join(" && ");
  const shaped = async () => (await server.dump()).replace(/direct_packets_stat \d+ /, "");
  const takeover: ManifestTakeover[] = [{ what: "qdisc", device: "eth0", origin }];

  test("is refused with what to say, taken when that is said, and comes back as it was", async () => {
    await server.sh(BY_HAND);
    const before = await shaped();
    agent = await startTestAgent(server, control);
    expect(await issue(firewall())).toMatchObject({
      result: "refused",
      refusal: { step: "preflight", reason: expect.stringContaining("takeover: [{ qdisc: eth0 }]") },
    });
    const outcome = await issue({ ...firewall(), takeover });
    expect(outcome).toMatchObject({
      result: "confirmed",
      taken: [{ what: "eth0/root", text: expect.stringContaining("7:30") }],
    });
    expect(await shaped()).toMatch(/class htb 1:20/);
    refuseAll();
    const held = await shaped();
    expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "reverted" });
    expect(await shaped()).toBe(held);
    control.confirm = async () => ({ ok: true });
    expect(await issue(EMPTY_MANIFEST)).toMatchObject({ result: "confirmed" });
    expect(await shaped()).toBe(before);
  });

  test("comes back when its takeover isn't confirmed, and at uninstall", async () => {
    await server.sh(BY_HAND);
    const before = await shaped();
    agent = await startTestAgent(server, control);
    refuseAll();
    expect(await issue({ ...firewall(), takeover })).toMatchObject({ result: "reverted" });
    expect(await shaped()).toBe(before);
    control.confirm = async () => ({ ok: true });
    expect(await issue({ ...firewall(), takeover })).toMatchObject({ result: "confirmed" });
    await agent.close();
    agent = undefined;
    await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
    expect(await shaped()).toBe(before);
  });

  test("that comes after a device was given back is nobody's drift", async () => {
    agent = await startTestAgent(server, control, { intervals: { fullCheckMs: 200 } });
    await issue(firewall());
    await issue(EMPTY_MANIFEST);
    await server.sh("tc qdisc add dev eth0 root handle 9: tbf rate 1mbit burst 10k latency 50ms");
    const before = await shaped();
    control.plan("p1", EMPTY_MANIFEST);
    await waitUntil("a plan's answer", WAIT_MS, () => control.reports.some(({ kind }) => kind === "plan"));
    const looks = control.pulses.length;
    await waitUntil("some looks", WAIT_MS, () => control.pulses.length > looks);
    expect(await shaped()).toBe(before);
    expect(control.drifts()).toEqual([]);
  });
});
