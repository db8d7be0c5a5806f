import { rm, writeFile } from "node:fs/promises";
import { processIdOf } from "@sluice/agents/state/process-id";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { startAgentChild } from "./child.ts";
import { createFakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** `undo.sh boot`, as sluice-boot.service starts it: a kernel with nothing in it, and the state folder of before. */
function held(options: Parameters<typeof firewall>[0] = {}): Manifest {
  const manifest = firewall(options);
  const tbf = ["rate", "2mbit", "burst", "10k", "latency", "50ms"];
  return {
    ...manifest,
    devices: manifest.devices.map((device) => ({
      ...device,
      ingress: {
        ifb: "slifb-eth0",
        tree: {
          qdiscs: [{ parent: "root", handle: "1:", kind: "tbf", args: tbf }],
          classes: [],
          filters: [],
        },
      },
    })),
  };
}

describe.each(["nft", "legacy"] as const)("with iptables-%s", (backend) => {
  let before: TestServer;
  let confirmed: string;
  let kernel: TestServer;

  beforeAll(async () => {
    before = await createTestServer();
    const control = createFakeControl();
    const agent = await startTestAgent(before, control, { backend });
    for (const [index, manifest] of [held({ port: 2222, office: ["203.0.113.9"] }), held()].entries()) {
      control.issue(manifest, index + 1);
      await waitUntil("its outcome", 30_000, () => control.outcomes().length > index);
    }
    await waitUntil("rest", 30_000, () => agent.status().state === "idle");
    await agent.close();
    confirmed = await before.dump(backend);
    return async () => await before.remove();
  });
  beforeEach(async () => {
    kernel = await createTestServer();
    return async () => await kernel.remove();
  });

  function boot(...words: string[]): Promise<string> {
    const folder = stateFolder(`${before.folder}/state`).held;
    const [mode = "boot", ...rest] = words;
    return kernel.sh(`exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin XTABLES_LOCKFILE=${kernel.env.XTABLES_LOCKFILE} \
      sh ${folder}/undo.sh ${mode} ${folder} ${rest.join(" ")} 2>&1`);
  }

  test("an empty kernel is filled with exactly what was confirmed, of both families, and twice is once", async () => {
    expect(await boot()).toBe("");
    expect(await kernel.dump(backend)).toBe(confirmed);
    expect(await boot()).toBe("");
    expect(await kernel.dump(backend)).toBe(confirmed);
  });

  test("what others have filled before stays, and comes after ours", async () => {
    const tool = backend === "nft" ? "iptables" : "iptables-legacy";
    await kernel.sh(
      `${tool} -N f2b; ${tool} -A INPUT -p icmp -j f2b; ipset create other hash:ip; ipset add other 203.0.113.1`,
    );
    await boot();
    expect((await kernel.sh(`${tool} -S INPUT`)).trim().split("\n").slice(1)).toEqual([
      "-A INPUT -j SL-INPUT",
      "-A INPUT -p icmp -j f2b",
    ]);
    expect(await kernel.sh("ipset list other")).toContain("203.0.113.1");
  });

  test("a device that comes late gets its tree when it is there; all else didn't wait for it", async () => {
    await kernel.sh("ip link set eth0 name away0");
    await boot();
    expect(await kernel.sh(`${backend === "nft" ? "ip6tables" : "ip6tables-legacy"} -S SL-INPUT`)).toContain(
      "--dport 22",
    );
    expect(await kernel.sh("tc qdisc show")).not.toContain("htb");
    await kernel.sh("ip link set away0 name eth0");
    expect(await boot("device", "eth0")).toBe("");
    expect(await kernel.dump(backend)).toBe(confirmed);
    expect(await boot("device", "peer0")).toBe("");
    expect(await kernel.dump(backend)).toBe(confirmed);
  });

  test("while an agent runs, the boot leaves everything to it", async () => {
    const bare = await kernel.dump(backend);
    const me = processIdOf(process.pid);
    const lock = `${before.folder}/state/lock`;
    await writeFile(lock, `${me?.pid} ${me?.startTime}\n`);
    expect(await boot()).toContain("an agent runs");
    expect(await kernel.dump(backend)).toBe(bare);
    await writeFile(lock, `${me?.pid} 1\n`); // as it was in another boot
    await boot();
    expect(await kernel.dump(backend)).toBe(confirmed);
    await rm(lock);
  });

  test("during a pause nothing is filled; after its end all is", async () => {
    const bare = await kernel.dump(backend);
    const { paused } = stateFolder(`${before.folder}/state`);
    const pause = { reason: 'the "door"', by: "root" };
    await paused.write({ ...pause, until: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await boot()).toContain("paused until");
    expect(await kernel.dump(backend)).toBe(bare);
    await paused.write({ ...pause, until: new Date(Date.now() - 1_000).toISOString() });
    await boot();
    expect(await kernel.dump(backend)).toBe(confirmed);
    await paused.remove();
  });
});

describe("restarted in mid-change", () => {
  let before: TestServer;
  let kernel: TestServer;
  beforeEach(async () => {
    [before, kernel] = await Promise.all([createTestServer(), createTestServer()]);
    return async () => {
      const undo = undoFolder(`${before.folder}/state/undo`);
      if (undo.runner() !== undefined) await undo.order(0, "spare");
      await waitUntil("the runner's end", 30_000, () => undo.runner() === undefined);
      await Promise.all([before.remove(), kernel.remove()]);
    };
  });

  test.each([
    ["confirm", "the old manifest: nobody had confirmed the new one"],
    ["old sets", "the new manifest: it was confirmed, and its folder had not taken its place yet"],
    ["keep", "the new manifest: it was confirmed, and its folder had not taken its place yet"],
  ])("at step %s, the boot brings back %s", async (step) => {
    const agent = startAgentChild(before, {
      manifests: [
        held(),
        { ...held({ port: 2222, rate: "3mbit", office: ["203.0.113.9"] }), deadlineMs: 60_000 },
      ],
      stopAt: { step },
      answer: "yes",
    });
    await agent.reached("held 1");
    const old = await before.dump();
    agent.go();
    await agent.reached(`stopped at ${step}`);
    const now = await before.dump();
    agent.child.signal("SIGKILL");
    await agent.child.exited;
    const folder = stateFolder(`${before.folder}/state`).held;
    await kernel.sh(`sh ${folder}/undo.sh boot ${folder}`);
    expect(now).not.toBe(old);
    expect(await kernel.dump()).toBe(step === "confirm" ? old : now);
  });
});
