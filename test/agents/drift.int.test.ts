import { readFileSync, writeFileSync } from "node:fs";
import type { Agent } from "@sluice/agents/run/agent";
import type { Intervals } from "@sluice/agents/run/intervals";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { sha256Hex } from "@sluice/proto/base/digest";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall, refusedFirewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

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

/** An agent that holds a manifest, and how its kernel looks. The poll is short so that the tests are. */
async function given(
  manifest: Manifest,
  backend: "nft" | "legacy" = "nft",
  intervals: Partial<Intervals> = {},
) {
  agent = await startTestAgent(server, control, { backend, intervals: { pollMs: 200, ...intervals } });
  control.issue(manifest, 1);
  await waitUntil("generation 1", 30_000, () => control.outcomes().length === 1);
  await waitUntil("rest", 30_000, () => agent?.status().state === "idle");
  return await server.dump(backend);
}

async function drifts(count: number) {
  await waitUntil(`drift ${count}`, 60_000, () => control.drifts().length >= count);
  return control.drifts();
}

describe("what somebody changes by hand is mended, and who did it is told where the kernel tells", () => {
  test.each([
    ["a flushed chain", "iptables -F SL-web-ssh", "ip4/filter/SL-web-ssh", "iptables"],
    ["a flushed IPv6 chain", "ip6tables -F SL-INPUT", "ip6/filter/SL-INPUT", "ip6tables"],
    ["a deleted jump", "iptables -D INPUT -j SL-INPUT", "ip4/filter/INPUT", "iptables"],
    ["a rule put into a chain of ours", "iptables -I SL-INPUT -j ACCEPT", "ip4/filter/SL-INPUT", "iptables"],
    ["everything flushed by nft", "nft flush ruleset", "ip4/filter/SL-INPUT", "nft"],
  ])("%s", async (_name, command, object, tool) => {
    const before = await given(firewall());
    await server.sh(command);
    const [drift] = await drifts(1);
    expect(drift).toMatchObject({ action: "repaired", generation: 1, by: { tool } });
    expect(drift?.by?.pid).toBeGreaterThan(0);
    expect(drift?.differences.map((one) => one.object)).toContain(object);
    expect(await server.dump()).toBe(before);
  });

  test.each([
    ["a deleted class", "tc class del dev eth0 classid 1:10", "eth0/class/1:10"],
    ["a changed class", "tc class change dev eth0 parent 1: classid 1:20 htb rate 9mbit", "eth0/class/1:20"],
    ["a removed tree", "tc qdisc del dev eth0 root", "eth0/class/1:20"],
    ["an emptied set", "ipset flush sl-web-office-hn4", "set/sl-web-office-hn4"],
    ["an address let in", "ipset add sl-web-office-hn4 203.0.113.66", "set/sl-web-office-hn4"],
    ["a protected address taken out", "ipset flush sl-protect-4", "set/sl-protect-4"],
  ])("%s", async (_name, command, object) => {
    const before = await given(firewall());
    await server.sh(command);
    const [drift] = await drifts(1);
    expect(drift).toMatchObject({ action: "repaired" });
    expect(drift?.differences.map((one) => one.object)).toContain(object);
    expect(await server.dump()).toBe(before);
  });

  test("a flushed legacy chain, which the kernel tells nobody of, is found by the poll", async () => {
    const before = await given(firewall(), "legacy");
    await server.sh("iptables-legacy -F SL-web-ssh");
    expect((await drifts(1))[0]).toMatchObject({ action: "repaired" });
    expect(await server.dump("legacy")).toBe(before);
  });
});

test("foreign changes beside ours are nobody's drift", async () => {
  await given(firewall());
  await server.sh("iptables -N f2b; iptables -A INPUT -j f2b; ipset create other hash:ip");
  await server.sh("iptables -F SL-web-ssh");
  const [drift] = await drifts(1);
  expect(drift?.differences.map((one) => one.object)).toEqual(["ip4/filter/SL-web-ssh"]);
  expect(await server.sh("iptables -S")).toContain("-A INPUT -j f2b");
});

test("a foreign rule before our jump is told once and left where it is", async () => {
  await given(firewall());
  await server.sh("iptables -I INPUT -p icmp -j ACCEPT");
  expect((await drifts(1))[0]).toMatchObject({
    action: "reported",
    differences: [{ object: "ip4/filter/INPUT", kind: "changed" }],
  });
  await server.sh("iptables -F SL-web-ssh");
  const all = await drifts(2);
  expect(all.map(({ action }) => action)).toEqual(["reported", "repaired"]);
  expect(await server.sh("iptables -S INPUT")).toMatch(/-A INPUT -p icmp -j ACCEPT\n-A INPUT -j SL-INPUT/);
  expect(agent?.status()).toMatchObject({ state: "drifted" });
});

test("where the manifest says report, nothing is written", async () => {
  await given({ ...firewall(), drift: "report" });
  await server.sh("iptables -F SL-web-ssh");
  const damaged = await server.dump();
  expect((await drifts(1))[0]).toMatchObject({ action: "reported" });
  expect(await server.dump()).toBe(damaged);
  expect(agent?.status()).toMatchObject({
    state: "drifted",
    differences: [{ object: "ip4/filter/SL-web-ssh" }],
  });
});

test("against a tool that keeps changing the same chain, the agent stops and says so; other chains are still mended", async () => {
  await given(firewall(), "nft", { contentionLimit: 3, contentionWindowMs: 600_000 });
  for (let round = 1; round <= 3; round += 1) {
    await server.sh("iptables -F SL-web-ssh");
    await drifts(round);
  }
  await server.sh("iptables -F SL-web-ssh");
  const all = await drifts(4);
  expect(all[3]).toMatchObject({ action: "reported", reason: expect.stringContaining("SL-web-ssh") });
  expect(agent?.status()).toMatchObject({ state: "contended" });
  await server.sh("ip6tables -F SL-web-ssh");
  const last = (await drifts(5))[4];
  expect(last).toMatchObject({ action: "repaired", differences: [{ object: "ip6/filter/SL-web-ssh" }] });
});

test("a restarted agent mends what was changed while it was down, before anything else", async () => {
  const before = await given(firewall());
  await agent?.close();
  await server.sh("iptables -F SL-INPUT; ipset flush sl-web-office-hn4; tc qdisc del dev eth0 root");
  agent = await startTestAgent(server, control);
  await drifts(1);
  expect(await server.dump()).toBe(before);
});

test("after a boot the kernel is filled again, which is nobody's drift, also where drift is only reported", async () => {
  const before = await given({ ...firewall(), drift: "report" });
  await agent?.close();
  await server.sh("nft flush ruleset; ipset -X; tc qdisc del dev eth0 root");
  const { applied } = stateFolder(`${server.folder}/state`);
  const stored = await applied.read();
  if (stored.kind !== "value") throw new Error("nothing is held");
  await applied.write({ ...stored.value, boot: "another-boot" });
  agent = await startTestAgent(server, control);
  await waitUntil("the kernel as before", 30_000, async () => (await server.dump()) === before);
  expect(control.drifts()).toEqual([]);
});

test("after a boot, what is in the way at first doesn't leave the kernel empty for good", async () => {
  await given({ ...firewall(), drift: "report" });
  await agent?.close();
  await server.sh("nft flush ruleset; ipset -X; tc qdisc del dev eth0 root");
  await server.sh("iptables -A FORWARD -j ACCEPT");
  await server.sh("nft add rule ip filter FORWARD ct state vmap { established : accept }");
  const { applied } = stateFolder(`${server.folder}/state`);
  const stored = await applied.read();
  if (stored.kind !== "value") throw new Error("nothing is held");
  await applied.write({ ...stored.value, boot: "another-boot" });
  agent = await startTestAgent(server, control);
  await waitUntil("the refusal", 30_000, () => agent?.status().differences[0]?.object === "iptables");
  expect(await server.sh("tc class show dev eth0")).toContain("1:10");
  await server.sh("nft flush chain ip filter FORWARD");
  await waitUntil("the jump", 60_000, async () =>
    (await server.sh("iptables -S")).includes("-A INPUT -j SL-INPUT"),
  );
  expect(await server.sh("iptables -S SL-web-ssh")).toContain("--limit");
});

/** Again while the agent was quicker between two of the commands. */
const TAKE_THE_SET = `
  set=sl-web-office-hn4
  use="FORWARD -m set --match-set $set src -j DROP"
  tries=0
  until iptables -F SL-INPUT && ipset destroy $set && ipset create $set hash:ip && iptables -A $use &&
    ipset list -t $set | grep -q hash:ip; do
    iptables -D $use 2>/dev/null
    tries=$((tries + 1))
    [ $tries -lt 200 ] || exit 1
  done`;

describe("what can't be mended is told, and keeps nothing else from being mended", () => {
  test("a set of ours that stands as another type and is used by others", async () => {
    await given(firewall());
    await server.sh(TAKE_THE_SET);
    await server.sh("ipset flush sl-protect-4; iptables -F SL-web-ssh; tc qdisc del dev eth0 root");
    // a look may have come between the vandal's commands, and have told of more
    const failed = () =>
      control.drifts().find(({ action, differences }) => action === "failed" && differences.length === 1);
    await waitUntil("the fault, alone", 30_000, () => failed() !== undefined);
    expect(failed()?.reason).toContain("sl-web-office-hn4 stands as hash:ip");
    expect(failed()?.differences).toMatchObject([{ object: "set/sl-web-office-hn4", kind: "changed" }]);
    expect(agent?.status()).toMatchObject({ state: "drifted" });
    expect(await server.sh("iptables -S SL-web-ssh")).toContain("--limit");
    expect(await server.sh("ipset list sl-protect-4")).toContain("192.0.2.10");
    expect(await server.sh("tc class show dev eth0")).toContain("1:10");
    expect(await server.sh("iptables -S FORWARD")).toContain("sl-web-office-hn4");
  });

  test("a chain of ours into which nft wrote what iptables can't read", async () => {
    const before = await given(firewall());
    await server.sh("nft insert rule ip filter SL-INPUT ct state vmap { established : accept }");
    const [drift] = await drifts(1);
    expect(drift).toMatchObject({ action: "repaired", by: { tool: "nft" } });
    expect(await server.dump()).toBe(before);
  });

  test("a foreign chain of a table of ours that iptables can't read: our chains are written once, not for ever", async () => {
    await given(firewall(), "nft", { fullCheckMs: 200 });
    await server.sh("iptables -A FORWARD -j ACCEPT");
    await server.sh("nft add rule ip filter FORWARD ct state vmap { established : accept }");
    await waitUntil("the fault", 60_000, () => control.drifts().some(({ action }) => action === "failed"));
    expect(agent?.status()).toMatchObject({ state: "drifted", differences: [{ object: "iptables" }] });
    await server.sh("tc qdisc del dev eth0 root; ipset flush sl-web-office-hn4");
    await waitUntil("the class", 60_000, async () =>
      (await server.sh("tc class show dev eth0")).includes("1:10"),
    );
    const handles = async () => await server.sh("nft -a list chain ip filter SL-INPUT");
    const written = await handles();
    const { length } = control.reports;
    await server.sh("tc qdisc del dev eth0 root");
    await waitUntil("the class", 60_000, async () =>
      (await server.sh("tc class show dev eth0")).includes("1:10"),
    );
    await waitUntil("the report", 30_000, () => control.reports.length > length);
    expect(await handles()).toBe(written);
    expect(await server.sh("nft list chain ip filter FORWARD")).toContain("vmap");
    await server.sh("nft flush chain ip filter FORWARD");
    await waitUntil("rest", 60_000, () => agent?.status().state === "idle");
  });
});

test("what is held and can't be rehearsed any more isn't called in order", async () => {
  await given(firewall());
  await agent?.close();
  const { applied } = stateFolder(`${server.folder}/state`);
  const stored = await applied.read();
  if (stored.kind !== "value") throw new Error("nothing is held");
  const manifest = canonicalJson(refusedFirewall());
  await applied.write({ ...stored.value, manifest, digest: sha256Hex(manifest) });
  agent = await startTestAgent(server, control);
  await waitUntil("the fault", 30_000, () => control.drifts().some(({ action }) => action === "failed"));
  expect(agent.status()).toMatchObject({ state: "drifted" });
});

test("a state file torn by a crash isn't trusted, and said", async () => {
  await given(firewall());
  await agent?.close();
  const path = stateFolder(`${server.folder}/state`).applied.path;
  writeFileSync(path, readFileSync(path).subarray(0, 200));
  const said: string[] = [];
  agent = await startTestAgent(server, control, {
    log: (message, more) => said.push(`${message} ${more?.reason}`),
  });
  expect(said.join("\n")).toMatch(/can't be trusted.*applied\.json/);
  control.issue(firewall(), 2);
  await waitUntil("generation 2", 30_000, () => control.outcomes().length === 2);
  expect(control.outcomes()[1]).toMatchObject({ result: "confirmed", stats: { writes: 0 } });
});

test("a new address of the server is protected without being asked, which is nobody's drift, however often it looks", async () => {
  await given(firewall(), "nft", { fullCheckMs: 20, pollMs: 20 });
  await server.sh("ip addr add 198.51.100.77/24 dev eth0");
  await waitUntil("the protected address", 30_000, async () =>
    (await server.sh("ipset list sl-protect-4")).includes("198.51.100.77"),
  );
  // what is under way has told what it has to tell
  await agent?.close();
  expect(control.drifts()).toEqual([]);
  expect(control.reports.filter(({ kind }) => kind === "facts")).toHaveLength(2);
});

test("a device that goes and comes back is shaped again", async () => {
  const before = await given(firewall());
  await server.sh("ip link del eth0");
  await drifts(1);
  await server.sh(
    "ip link add eth0 type veth peer name peer0; ip addr add 192.0.2.10/24 dev eth0; ip addr add 2001:db8::10/64 dev eth0 nodad; ip link set eth0 up; ip link set peer0 up",
  );
  await waitUntil("the class", 30_000, async () => (await server.dump()) === before);
});
