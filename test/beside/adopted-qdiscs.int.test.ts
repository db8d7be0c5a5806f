import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Agent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { commandIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl, type FakeControl } from "../agents/fake-link.ts";
import { firewall } from "../agents/manifests.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";
import { importedFrom } from "./imported.ts";
import {
  hearTcWrites,
  type StandingTc,
  sendPackets,
  standingTc,
  withoutTableNumbers,
} from "./standing-tc.ts";

/** An uplink shaped by hand becomes a policy's: the tree that stands is taken as it is, and given back as it is. */
const WAIT_MS = 60_000;
const HTB = [
  "tc qdisc add dev eth0 root handle 1: htb default 20",
  "tc class add dev eth0 parent 1: classid 1:1 htb rate 1224kbit",
  "tc class add dev eth0 parent 1:1 classid 1:10 htb rate 200kbit ceil 200kbit prio 1 mtu 1500",
  "tc class add dev eth0 parent 1:1 classid 1:20 htb rate 1024kbit ceil 1224kbit prio 2 burst 15k quantum 3000",
  "tc class add dev eth0 parent 1: classid 1:1e1 htb rate 97mbit ceil 100mbit overhead 38 mpu 64 linklayer atm",
  "tc qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 50",
  "tc qdisc add dev eth0 parent 1:20 handle 20: bfifo limit 20000",
].join(" && ");
const TBF = "tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 50ms";
/** The classic recipe on a kernel without `fw`: its classes as they are, by u32 filters or by rules that name the class. */
const CLASSES = [
  "tc qdisc add dev eth0 root handle 1: htb default 20",
  "tc class add dev eth0 parent 1:0 classid 1:10 htb rate 200kbit ceil 200kbit prio 1 mtu 1500",
  "tc class add dev eth0 parent 1:0 classid 1:20 htb rate 1024kbit ceil 1024kbit prio 2 mtu 1500",
];
const BY_U32 = [
  ...CLASSES,
  "tc filter add dev eth0 parent 1:0 protocol ip prio 1 u32 match ip sport 80 0xffff flowid 1:10",
  "tc filter add dev eth0 parent 1:0 protocol ip prio 1 u32 match ip dst 192.0.2.0/28 match ip protocol 6 0xff flowid 1:10",
  "tc filter add dev eth0 parent 1:0 protocol ipv6 prio 2 u32 match ip6 sport 80 0xffff flowid 1:10",
  "tc filter add dev eth0 parent 1:0 protocol ip u32 match tcp dst 443 0xffff flowid 1:20",
  "tc qdisc add dev eth0 parent 1:10 pfifo limit 50",
].join(" && ");
const BY_CLASSIFY = [
  ...CLASSES,
  "iptables-nft -t mangle -A OUTPUT -o eth0 -p tcp --sport 80 -j CLASSIFY --set-class 1:10",
].join(" && ");

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

function imported() {
  const live = namedNamespace(server.namespace, { env: { ...server.env, ...agentEnvironment() } });
  return importedFrom(live, "nft");
}

async function issue(manifest: Manifest) {
  issued += 1;
  const count = control.outcomes().length + 1;
  control.issue(manifest, issued);
  await waitUntil(`outcome ${issued}`, WAIT_MS, () => control.outcomes().length >= count);
  await waitUntil("the agent at rest", WAIT_MS, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

const standing = () => standingTc(server.sh);
const send = () => sendPackets(server.sh);

async function unchanged(before: StandingTc) {
  const now = await standing();
  expect(now.text).toBe(before.text);
  for (const [object, bytes] of Object.entries(before.sent))
    expect(now.sent[object], object).toBeGreaterThanOrEqual(bytes);
  expect(Math.max(...Object.values(before.sent))).toBeGreaterThan(0);
}

test.each([
  ["a tree of classes", HTB],
  ["one qdisc, with a handle of tc's choice", TBF],
  ["the classic recipe by u32 filters", BY_U32],
  ["the classic recipe by rules with CLASSIFY", BY_CLASSIFY],
])(
  "%s is imported as it stands, adopted and given back with no byte of its counters lost",
  async (_, byHand) => {
    await server.sh(byHand);
    await send();
    const before = await standing();
    const writes = await hearTcWrites(server.sh, commandIn(server.namespace, ["tc", "monitor"]));
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
      taken: expect.arrayContaining([expect.objectContaining({ what: "eth0/root" })]),
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
    expect(await writes()).toEqual([]);
  },
);

test("what is missing or other in an adopted tree is seen and mended as it was", async () => {
  await server.sh(BY_U32);
  const stood = await standing();
  const before = withoutTableNumbers(stood);
  const leaf = /qdisc pfifo ([0-9a-f]+):/.exec(stood.text)?.[1] ?? "";
  const { compiledIn } = await imported();
  agent = await startTestAgent(server, control);
  for (const mode of ["enforce", "imported", "enforce"] as const)
    expect(await issue(compiledIn(mode))).toMatchObject({ result: "confirmed" });
  for (const [vandal, what] of [
    ["tc filter del dev eth0 parent 1: protocol ip prio 1", "eth0/filter/1:/1/::800"],
    ["tc class change dev eth0 parent 1: classid 1:10 htb rate 300kbit", "eth0/class/1:10"],
    [`tc qdisc change dev eth0 parent 1:10 handle ${leaf}: pfifo limit 7`, `eth0/qdisc/${leaf}:`],
    [
      "tc filter add dev eth0 parent 1: protocol ip prio 7 u32 match u32 0 0 flowid 1:20",
      "eth0/filter/1:/7/::800",
    ],
  ]) {
    await server.sh(vandal ?? "");
    await waitUntil(`drift of ${what}`, WAIT_MS, () =>
      control.drifts().some(({ differences }) => differences.some(({ object }) => object === what)),
    );
    await waitUntil(
      `${what} as it was`,
      WAIT_MS,
      async () => withoutTableNumbers(await standing()) === before,
    );
  }
});

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
