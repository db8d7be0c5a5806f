import type { Agent } from "@sluice/agents/run/agent";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** `update-alternatives --set iptables`, and what of ours stands in the backend before. */
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

describe.each([
  ["nft", "legacy"],
  ["legacy", "nft"],
] as const)("from %s to %s", (before, after) => {
  const foreign = [
    `iptables-${before} -A INPUT -p icmp -j ACCEPT`,
    `ip6tables-${before} -N f2b`,
    `ip6tables-${before} -A INPUT -p udp -j f2b`,
  ].join("; ");
  const ours = async (backend: string) =>
    (await server.sh(`iptables-${backend}-save; ip6tables-${backend}-save`))
      .split("\n")
      .filter((line) => line.includes("SL-"));
  const foreignRules = async () =>
    (await server.sh(`iptables-${before}-save -c; ip6tables-${before}-save -c`))
      .split("\n")
      .filter((line) => /-A INPUT .*(icmp|udp)|:f2b/.test(line));

  test("what is held moves to the backend in use, what was left goes, and nothing foreign does", async () => {
    await server.sh(foreign);
    agent = await startTestAgent(server, control, { backend: before });
    control.issue(firewall(), 1);
    await waitUntil("the first generation", 60_000, () => control.outcomes().length === 1);
    await agent.close();
    const kept = await foreignRules();
    expect(await ours(before)).not.toEqual([]);

    agent = await startTestAgent(server, control, { backend: after });
    await waitUntil("the move", 60_000, async () => (await ours(before)).length === 0);
    expect((await ours(after)).filter((line) => line === "-A INPUT -j SL-INPUT")).toHaveLength(2);
    expect(await foreignRules()).toEqual(kept);
    await waitUntil("the report", 60_000, () => control.drifts().length > 0);
    expect(control.drifts().flatMap(({ differences }) => differences)).toContainEqual(
      expect.objectContaining({ object: `ip4-${before}/filter/SL-web-ssh`, kind: "extra" }),
    );
    expect(agent.status().differences).toEqual([]);
  });

  test("a plan warns of it, the change takes it away, and uninstall leaves none in either", async () => {
    const old = `iptables-${before} -N SL-old; iptables-${before} -I INPUT -j SL-old`;
    await server.sh(`${foreign}; ${old}`);
    const kept = await foreignRules();
    agent = await startTestAgent(server, control, { backend: after });
    control.plan("p1", firewall());
    await waitUntil("the answer", 60_000, () => control.reports.some(({ kind }) => kind === "plan"));
    expect(control.reports.find(({ kind }) => kind === "plan")).toMatchObject({
      warnings: expect.arrayContaining([
        `rules of ours are left in the other backend (ip4-${before}/filter): they go`,
      ]),
      differences: expect.arrayContaining([
        expect.objectContaining({ object: `ip4-${before}/filter/SL-old`, kind: "extra" }),
      ]),
    });
    control.issue(firewall(), 1);
    await waitUntil("the outcome", 60_000, () => control.outcomes().length === 1);
    expect(control.outcomes()).toMatchObject([{ result: "confirmed" }]);
    expect(await ours(before)).toEqual([]);

    await agent.close();
    agent = undefined;
    await server.sh(old);
    await uninstall(await openStateFolder(`${server.folder}/state`), server.at);
    expect([...(await ours(before)), ...(await ours(after))]).toEqual([]);
    expect(await foreignRules()).toEqual(kept);
  });
});

test("ours that were left among rules that only nft can print are named, with what to do, and left alone", async () => {
  await server.sh(
    "iptables-nft -N SL-old; iptables-nft -I INPUT -j SL-old; nft add chain ip filter odd '{ type filter hook input priority 5; }'",
  );
  const before = await server.sh("nft list table ip filter");
  agent = await startTestAgent(server, control, { backend: "legacy" });
  control.plan("p1", firewall());
  await waitUntil("the answer", 60_000, () => control.reports.some(({ kind }) => kind === "plan"));
  expect(control.reports.find(({ kind }) => kind === "plan")).toMatchObject({
    result: "ok",
    warnings: expect.arrayContaining([
      expect.stringMatching(
        /only nft can print \(ip filter: SL-old\): they act, and stay; .*nft -a list table ip filter/,
      ),
    ]),
  });
  control.issue(firewall(), 1);
  await waitUntil("the outcome", 60_000, () => control.outcomes().length === 1);
  expect(control.outcomes()).toMatchObject([{ result: "confirmed" }]);
  expect(await server.sh("nft list table ip filter")).toBe(before);
});

test("tables that only nft knows are named, and left alone", async () => {
  await server.sh(
    "nft add table inet fw; nft add chain inet fw input '{ type filter hook input priority 0; }'",
  );
  const before = await server.sh("nft list ruleset");
  agent = await startTestAgent(server, control);
  control.plan("p1", firewall());
  await waitUntil("the answer", 60_000, () => control.reports.some(({ kind }) => kind === "plan"));
  expect(control.reports.find(({ kind }) => kind === "plan")).toMatchObject({
    warnings: expect.arrayContaining(["nftables has tables too (inet fw): their rules act as well"]),
  });
  expect(await server.sh("nft list ruleset")).toContain(before.trim());
});

test("looking for what is left in legacy loads nothing and makes no table", async () => {
  agent = await startTestAgent(server, control);
  control.issue(firewall(), 1);
  await waitUntil("the outcome", 60_000, () => control.outcomes().length === 1);
  expect(
    await server.sh("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>&1 || true"),
  ).not.toMatch(/filter|nat|mangle|raw/);
});
