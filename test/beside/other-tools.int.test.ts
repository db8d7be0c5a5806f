import type { Agent } from "@sluice/agents/run/agent";
import { createLook } from "@sluice/agents/run/look";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { compile } from "@sluice/control/compile/compile";
import { inputWith } from "@sluice/control/compile/test-input";
import { type OtherTools, startOtherTools, whyNoOtherTools } from "@sluice/infra/other-tools/start";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl, type FakeControl } from "../agents/fake-link.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";
import { foreignText } from "./foreign-text.ts";

/**
 * Docker's daemon, ufw and fail2ban as Debian ships them, and native nft rules, in one namespace with an agent. Whatever
 * the agent does, nothing of theirs may differ by a byte, and no counter of theirs begin anew.
 */
const WAIT_MS = 60_000;

/** Beside iptables' tables, and within them. */
const NATIVE = [
  "nft add table inet mine",
  "nft add set inet mine bad '{ type ipv4_addr; elements = { 203.0.113.1, 203.0.113.2 }; }'",
  "nft add chain inet mine input '{ type filter hook input priority -5; policy accept; }'",
  "nft add rule inet mine input ip saddr @bad counter drop",
  "nft add rule ip filter INPUT ip saddr 198.51.100.7 counter drop",
  "nft add rule ip filter DOCKER-USER ip saddr '{ 198.51.100.8, 198.51.100.9 }' counter drop",
].join(" && ");

const POLICY = (port: number) => `
policy: web
targets: { servers: ["*"] }
drift: repair
deadline: 60s
firewall:
  default: { INPUT: drop, FORWARD: drop }
  raw: { PREROUTING: [-p udp --dport 9 -j DROP] }
  mangle: { FORWARD: [-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu] }
  nat: { POSTROUTING: [-s 10.9.0.0/16 -j MASQUERADE] }
  filter:
    INPUT: [-m conntrack --ctstate ESTABLISHED -j ACCEPT, -p tcp --dport ${port} -j ACCEPT]
    FORWARD: [-s 10.8.0.0/16 -j DROP, -m conntrack --ctstate ESTABLISHED -j ACCEPT]
    OUTPUT: [-p tcp --dport 25 -j REJECT]
`;

const obstacle = whyNoOtherTools();
if (obstacle !== undefined) console.warn(`skipped: ${obstacle}`);
const why = obstacle === undefined ? "" : ` (${obstacle})`;

describe.skipIf(obstacle !== undefined).each(["nft", "legacy"] as const)(`on %s${why}`, (backend) => {
  let server: TestServer;
  let tools: OtherTools;
  let control: FakeControl;
  let agent: Agent;
  let facts: Facts;
  let before: Awaited<ReturnType<typeof foreignText>>;
  let issued = 0;

  beforeAll(async () => {
    server = await createTestServer();
    tools = await startOtherTools(server.namespace, backend, server.env);
    await tools.run("docker up");
    await tools.run("ufw --force enable");
    await tools.run("ufw allow 22/tcp");
    await tools.run("fail2ban start");
    await tools.run("fail2ban set sshd banip 203.0.113.9");
    if (backend === "nft") await server.sh(NATIVE);
    // so that there are counters to lose
    await server.sh("ping -c 2 -i 0.2 127.0.0.1 && ping -c 2 -i 0.2 ::1");
    facts = (await createLook({ live: server.at, version: "0", control: [], backend })()).facts;
    control = createFakeControl();
    before = await foreignText(server);
    agent = await startTestAgent(server, control, { backend });
  }, 180_000);
  afterAll(async () => {
    await agent?.close();
    await tools?.stop();
    await server?.remove();
  });

  function compiled(text: string): Manifest {
    const parsed = parsePolicy(text);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const result = compile(inputWith([parsed.document], { facts }));
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    return result.manifest;
  }

  async function issue(text: string) {
    issued += 1;
    control.issue(compiled(text), issued);
    await waitUntil(`outcome ${issued}`, WAIT_MS, () => control.outcomes().length >= issued);
    await waitUntil("the agent at rest", WAIT_MS, () => agent.status().state !== "applying");
    return control.outcomes()[issued - 1];
  }

  async function expectForeignUntouched(): Promise<void> {
    const now = await foreignText(server);
    expect(now.text).toBe(before.text);
    const reset = now.counters.flatMap((count, index) =>
      count < (before.counters[index] ?? 0) ? [index] : [],
    );
    expect(reset).toEqual([]);
  }

  const ours = async () =>
    (await server.sh(`iptables-${backend}-save; ip6tables-${backend}-save; ipset save`))
      .split("\n")
      .filter((line) => /SL-|\bsl-/.test(line));

  test("facts say which hooks others have chains in, and that Docker has one for us", () => {
    expect(facts.foreign).toEqual({
      jumps: [4, 6].flatMap((family) =>
        ["INPUT", "FORWARD", "OUTPUT"].map((hook) => `ip${family}/filter/${hook}`),
      ),
      dockerUser: [4],
    });
  });

  test("a plan prints the order of each hook and whom it passes by, and touches nothing", async () => {
    control.plan("p1", compiled(POLICY(443)));
    const find = () => control.reports.find((report) => report.kind === "plan");
    await waitUntil("the answer", WAIT_MS, () => find() !== undefined);
    const plan = find();
    expect([plan?.refusal, plan?.result]).toEqual([undefined, "ok"]);
    expect(plan?.warnings).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^ip4\/filter INPUT: SL-INPUT, then f2b-sshd, then ufw-before-logging-input, .*accept: return/,
        ),
        expect.stringMatching(
          /^ip4\/filter FORWARD: DOCKER-USER \(SL-FORWARD first in it\), then DOCKER-ISOLATION/,
        ),
        expect.stringMatching(/^ip4\/nat POSTROUTING: SL-POSTROUTING, then 1 rule of others/),
      ]),
    );
    await expectForeignUntouched();
  });

  test("applying leaves everything foreign as it is", async () => {
    expect(await issue(POLICY(443))).toMatchObject({ result: "confirmed" });
    expect(await ours()).toContain("-A DOCKER-USER -j SL-FORWARD");
    expect(await ours()).toContain("-A INPUT -j SL-INPUT-end");
    await expectForeignUntouched();
  });

  test("changing does", async () => {
    expect(await issue(POLICY(8443))).toMatchObject({ result: "confirmed" });
    await expectForeignUntouched();
  });

  test("a change that is undone does", async () => {
    const held = await ours();
    control.confirm = async ({ phase }) =>
      phase === "preflight" ? { ok: true } : { ok: false, reason: "no" };
    expect(await issue(POLICY(22))).toMatchObject({ result: "reverted" });
    control.confirm = async () => ({ ok: true });
    expect((await ours()).sort()).toEqual(held.sort());
    await expectForeignUntouched();
  });

  test("mending what somebody did to ours does", async () => {
    const held = await ours();
    await server.sh(
      `iptables-${backend} -w 5 -F SL-web-INPUT; iptables-${backend} -w 5 -D DOCKER-USER -j SL-FORWARD; ip6tables-${backend} -w 5 -D INPUT -j SL-INPUT-end`,
    );
    await waitUntil("the repair", WAIT_MS, async () => (await ours()).length === held.length);
    await expectForeignUntouched();
  });

  test("a ban and a new start of Docker stand beside ours, which stay first", async () => {
    await tools.run("fail2ban set sshd banip 203.0.113.77");
    await tools.run("docker down");
    await tools.run("docker up");
    before = await foreignText(server);
    expect(before.text).toContain("203.0.113.77");
    const user = await server.sh(`iptables-${backend} -w 5 -S DOCKER-USER`);
    expect(user.split("\n")[1]).toBe("-A DOCKER-USER -j SL-FORWARD");
    expect((await server.sh(`iptables-${backend} -w 5 -S FORWARD`)).split("\n")[1]).toBe(
      "-A FORWARD -j DOCKER-USER",
    );
    expect(await issue(POLICY(443))).toMatchObject({ result: "confirmed" });
    await expectForeignUntouched();
  });

  test("uninstall takes all of ours and nothing else", async () => {
    await agent.close();
    await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
    expect(await ours()).toEqual([]);
    await expectForeignUntouched();
  });
});
