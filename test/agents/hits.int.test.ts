import { rm } from "node:fs/promises";
import type { Agent } from "@sluice/agents/run/agent";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { EMPTY_MANIFEST, type Manifest } from "@sluice/proto/manifest/manifest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** Counts datagrams to two ports, of both families. */
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

function counting(revision: number, ports = [7001, 7002]): Manifest {
  const rules = ports.map((port, index) => ({
    args: `-p udp --dport ${port} -j ACCEPT`,
    origin: { policy: "web", revision, line: index + 5, path: `firewall.filter.OUTPUT[${index}]` },
  }));
  return {
    ...EMPTY_MANIFEST,
    policies: [{ policy: "web", revision }],
    chains: ([4, 6] as const).map((family) => ({ family, table: "filter", name: "SL-OUTPUT", rules })),
    hooks: ([4, 6] as const).map((family) => ({
      ...{ family, table: "filter", hook: "OUTPUT", chain: "SL-OUTPUT", at: "head" },
    })),
    deadlineMs: 10_000,
  };
}

/** So many datagrams in each family. */
async function send(port: number, count: number): Promise<void> {
  await server.sh(
    `for n in $(seq ${count}); do for to in 127.0.0.1 ::1; do
       echo x | bash -c "cat > /dev/udp/$to/${port}" 2>/dev/null || true; done; done`,
  );
}

async function start(backend: "nft" | "legacy" = "nft"): Promise<void> {
  agent = await startTestAgent(server, control, { backend, intervals: { hitsMs: 50, pollMs: 200 } });
}

async function hold(manifest: Manifest, generation: number): Promise<void> {
  control.issue(manifest, generation);
  await waitUntil(`generation ${generation}`, 60_000, () => control.outcomes().length >= generation);
}

/** What control was told last, port by port; over all counters that there were. */
function told(revision: number): number[] {
  const sums = new Map<string, number>();
  for (const { counter, counts, revision: of } of control.hits)
    if (of === revision) for (const { path, packets } of counts) sums.set(`${path} ${counter}`, packets);
  return [0, 1].map((index) => {
    const own = [...sums].filter(([key]) => key.startsWith(`firewall.filter.OUTPUT[${index}] `));
    return own.length === 0 ? Number.NaN : own.reduce((sum, [, packets]) => sum + packets, 0);
  });
}

async function untilTold(revision: number, ...counts: number[]): Promise<void> {
  await waitUntil(`hits of revision ${revision}`, 30_000, () => {
    expect(told(revision)).toEqual(counts);
    return true;
  });
}

test.each(["nft", "legacy"] as const)(
  "%s: hits of both families reach control, and outlive a rewritten chain and a restarted agent",
  async (backend) => {
    const flush = backend === "nft" ? "iptables-nft -F SL-OUTPUT" : "iptables-legacy -F SL-OUTPUT";
    await server.sh("ip link set lo up");
    await start(backend);
    await hold(counting(1), 1);
    await untilTold(1, 0, 0);
    await send(7001, 3);
    await untilTold(1, 6, 0);

    await server.sh(flush);
    await waitUntil("the repair", 60_000, () => control.drifts().length > 0);
    await send(7001, 1);
    await untilTold(1, 8, 0);

    await agent?.close();
    await send(7002, 2);
    await start(backend);
    await untilTold(1, 8, 4);
  },
);

test("a new revision begins to count at nothing, whether its chain was written anew or not", async () => {
  await start();
  await hold(counting(1), 1);
  await send(7001, 2);
  await untilTold(1, 4, 0);
  await hold(counting(2), 2);
  await untilTold(2, 0, 0);
  await send(7001, 1);
  await untilTold(2, 2, 0);
  await hold(counting(3, [7001, 7003]), 3);
  await send(7003, 1);
  await untilTold(3, 0, 2);
  expect(told(1)).toEqual([4, 0]);
  expect(told(2)).toEqual([2, 0]);
});

test("where nothing is matched nothing is told again", async () => {
  await start();
  await hold(counting(1), 1);
  await untilTold(1, 0, 0);
  const before = control.hits.length;
  await send(7001, 1);
  await untilTold(1, 2, 0);
  expect(control.hits.slice(before).flatMap(({ counts }) => counts.map(({ path }) => path))).not.toContain(
    "firewall.filter.OUTPUT[1]",
  );
});

test("sums that are lost don't begin anew with what the kernel has counted since", async () => {
  await start();
  await hold(counting(1), 1);
  await send(7001, 2);
  await untilTold(1, 4, 0);
  await agent?.close();
  await rm(stateFolder(`${server.folder}/state`).hits.path);
  await start();
  const counters = () => new Set(control.hits.map(({ counter }) => counter));
  await waitUntil("sums of their own", 30_000, () => counters().size === 2);
  await send(7001, 1);
  await untilTold(1, 6, 0);
});
