import { createOpenRoom } from "@sluice/agents/converge/rehearsal-room";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import { readPresent } from "@sluice/agents/present/present";
import type { Agent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { createLook } from "@sluice/agents/run/look";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { createTrial } from "@sluice/agents/takeover/distrust";
import { compile } from "@sluice/control/compile/compile";
import { importPresent } from "@sluice/control/import/import-present";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl, type FakeControl } from "../agents/fake-link.ts";
import { firewall } from "../agents/manifests.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";

/** An uplink shaped by hand becomes a policy's: the tree that stands is taken as it is, and given back as it is. */
const WAIT_MS = 60_000;
const HTB = [
  "tc qdisc add dev eth0 root handle 1: htb default 20",
  "tc class add dev eth0 parent 1: classid 1:1 htb rate 1224kbit",
  "tc class add dev eth0 parent 1:1 classid 1:10 htb rate 200kbit ceil 200kbit prio 1 mtu 1500",
  "tc class add dev eth0 parent 1:1 classid 1:20 htb rate 1024kbit ceil 1224kbit prio 2 burst 15k quantum 3000",
  "tc class add dev eth0 parent 1: classid 1:1e1 htb rate 97mbit ceil 100mbit",
  "tc qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 50",
  "tc qdisc add dev eth0 parent 1:20 handle 20: bfifo limit 20000",
].join(" && ");
const TBF = "tc qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 10k latency 50ms";

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

async function imported() {
  const live = namedNamespace(server.namespace, { env: { ...server.env, ...agentEnvironment() } });
  const look = createLook({ live, version: "0", control: [], backend: "nft" });
  const { facts } = await look();
  const openRoom = createOpenRoom("nft", () => facts.devices);
  const trial = createTrial({ live, openRoom }, createTcDriver());
  const devices = facts.devices.map(({ name }) => name);
  const present = await readPresent({ live, backend: "nft", devices, trial }, undefined);
  const { text, left } = importPresent({ server: "web-1", policy: "web", present }, parsePolicy);
  const compiledIn = (mode: string): Manifest => {
    const parsed = parsePolicy(text.replace("mode: imported", `mode: ${mode}`));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const assigned = [{ revision: 1, document: parsed.document }];
    const result = compile({ assigned, server: { name: "web-1", labels: {} }, facts, lists: {} });
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    return result.manifest;
  };
  return { text, left, compiledIn };
}

async function issue(manifest: Manifest) {
  issued += 1;
  const count = control.outcomes().length + 1;
  control.issue(manifest, issued);
  await waitUntil(`outcome ${issued}`, WAIT_MS, () => control.outcomes().length >= count);
  await waitUntil("the agent at rest", WAIT_MS, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

/** Text with every counter, and the bytes that each object has sent. */
async function standing() {
  const text = await server.sh("tc -s -d -r qdisc show dev eth0; tc -s -d -r class show dev eth0");
  const sent = [...text.matchAll(/^(qdisc|class) \S+ (\S+).*\n Sent (\d+) bytes/gm)];
  return {
    text: text
      .split("\n")
      .filter((line) => /^(qdisc|class)/.test(line))
      .join("\n")
      .replace(/direct_packets_stat \d+ /, ""),
    sent: new Map(sent.map(([, object, id, bytes]) => [`${object} ${id}`, Number(bytes)])),
  };
}

/** Through the default class, without the agent's knowledge. */
async function send(): Promise<void> {
  await server.sh(
    "ping -c 3 -i 0.01 -W 0.01 -I eth0 -r 192.0.2.77 >/dev/null 2>&1; ping -6 -c 3 -i 0.01 -W 0.01 ff02::1%eth0 >/dev/null 2>&1; true",
  );
}

async function unchanged(before: Awaited<ReturnType<typeof standing>>) {
  const now = await standing();
  expect(now.text).toBe(before.text);
  for (const [object, bytes] of before.sent)
    expect(now.sent.get(object), object).toBeGreaterThanOrEqual(bytes);
  expect(Math.max(...before.sent.values())).toBeGreaterThan(0);
}

test.each([
  ["a tree of classes", HTB],
  ["one qdisc", TBF],
])(
  "%s is imported as it stands, adopted and given back with no byte of its counters lost",
  async (_, byHand) => {
    await server.sh(byHand);
    await send();
    const before = await standing();
    const { text, left, compiledIn } = await imported();
    expect(left).toEqual([]);
    expect(text).toContain("  - qdisc: eth0\n");
    const adopted = compiledIn("enforce");
    const inert = compiledIn("imported");
    expect(inert.devices).toEqual([]);

    agent = await startTestAgent(server, control);
    expect(await issue(inert)).toMatchObject({ result: "confirmed" });
    await unchanged(before);

    control.confirm = async ({ phase }) =>
      phase === "preflight" ? { ok: true } : { ok: false, reason: "no" };
    expect(await issue(adopted)).toMatchObject({ result: "reverted" });
    await unchanged(before);
    control.confirm = async () => ({ ok: true });
    expect(await issue(adopted)).toMatchObject({
      result: "confirmed",
      taken: [{ what: "eth0/root" }],
    });
    expect(agent.status().differences).toEqual([]);
    await unchanged(before);
    await send();

    control.confirm = async ({ phase }) =>
      phase === "preflight" ? { ok: true } : { ok: false, reason: "no" };
    expect(await issue(inert)).toMatchObject({ result: "reverted" });
    await unchanged(before);
    control.confirm = async () => ({ ok: true });
    expect(await issue(inert)).toMatchObject({ result: "confirmed" });
    await unchanged(before);
    // what was given back can be taken again
    expect(await issue(adopted)).toMatchObject({ result: "confirmed" });
    await unchanged(before);
  },
);

test("adopted with rules beside it, it is left as it stands by uninstall, too", async () => {
  await server.sh(HTB);
  await send();
  const before = await standing();
  const { left, compiledIn } = await imported();
  expect(left).toEqual([]);
  const { devices, takeover } = compiledIn("enforce");
  agent = await startTestAgent(server, control);
  expect(await issue({ ...firewall(), devices, takeover })).toMatchObject({ result: "confirmed" });
  await unchanged(before);
  await agent.close();
  agent = undefined;
  await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
  await unchanged(before);
});
