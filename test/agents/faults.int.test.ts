import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Agent } from "@sluice/agents/run/agent";
import { askLocally } from "@sluice/agents/run/local-socket";
import { pauseRecord } from "@sluice/agents/run/pause";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { tryExecIn } from "@sluice/infra/net/namespace";
import { runCommand } from "@sluice/infra/process/run-command";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startTestAgent } from "./agent.ts";
import { type AgentChild, startAgentChild } from "./child.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** Faults of the machine under an agent. docs/reliability.md has a row for each. */
const MAIN = fileURLToPath(new URL("../../agents/main.ts", import.meta.url));
const PATIENCE_MS = 60_000;

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;
let child: AgentChild | undefined;
let disk: string;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  disk = `${server.folder}/state`;
  await mkdir(disk);
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
});
afterEach(async () => {
  vi.useRealTimers();
  await agent?.close();
  await child?.child.stop("SIGKILL");
  [agent, child] = [undefined, undefined];
  const undo = undoFolder(`${disk}/undo`);
  if (undo.runner() !== undefined) await undo.order(0, "spare");
  await waitUntil("the runner's end", PATIENCE_MS, () => undo.runner() === undefined);
  await runCommand("umount", ["-l", disk]);
  await server.remove();
});

async function start(): Promise<Agent> {
  agent = await startTestAgent(server, control, { intervals: { pollMs: 200 } });
  return agent;
}

async function outcome(count: number) {
  await waitUntil(`outcome ${count}`, PATIENCE_MS, () => control.outcomes().length >= count);
  await waitUntil("rest", PATIENCE_MS, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

async function holding(): Promise<string> {
  await start();
  control.issue(firewall(), 1);
  await outcome(1);
  return await server.dump();
}

/** An agent of its own that stopped in mid-change, with the change in the kernel. */
async function inMidChange(deadlineMs: number, step = "confirm"): Promise<string> {
  child = startAgentChild(server, {
    manifests: [firewall(), { ...firewall({ port: 2222, rate: "3mbit" }), deadlineMs }],
    stopAt: { step },
    answer: "yes",
  });
  await child.reached("held 1");
  const before = await server.dump();
  child.go();
  await child.reached(`stopped at ${step}`);
  return before;
}

describe("the state folder", () => {
  test("turned read-only under an agent: no change begins, what is changed by hand is mended, and once writable all goes on", async () => {
    const before = await holding();
    await runCommand("mount", ["-o", "remount,ro", disk]);
    control.issue(firewall({ port: 2222 }), 2);
    expect(await outcome(2)).toMatchObject({ result: "refused", refusal: { step: "journal" } });
    expect(await server.dump()).toBe(before);
    await server.sh("iptables -F SL-web-ssh; ipset flush sl-web-office-hn4");
    await waitUntil("the repair", PATIENCE_MS, async () => (await server.dump()) === before);
    await runCommand("mount", ["-o", "remount,rw", disk]);
    control.issue(firewall({ port: 2223 }), 3);
    expect(await outcome(3)).toMatchObject({ generation: 3, result: "confirmed" });
  });

  test("read-only at the start: a sentence with a cure, and the kernel stays as it is", async () => {
    const before = await holding();
    await agent?.close();
    agent = undefined;
    await runCommand("mount", ["-o", "remount,ro", disk]);
    const ran = await tryExecIn(server.namespace, process.execPath, [MAIN, "run", "--state", disk], {
      env: { ...process.env, ...server.env },
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr.trim().split("\n")).toEqual([
      expect.stringMatching(/^sluice-agent: \S+ can't be written: EROFS/),
      expect.stringContaining("make it writable"),
    ]);
    expect(await server.dump()).toBe(before);
  });

  test("with the journal of a change torn: the change is undone, to be safe", async () => {
    const before = await inMidChange(120_000);
    child?.child.signal("SIGKILL");
    await child?.child.exited;
    const { path } = stateFolder(disk).journal;
    await writeFile(path, (await readFile(path, "utf8")).slice(0, 100));
    await start();
    expect(agent?.status()).toMatchObject({ holds: { generation: 1 } });
    expect(await server.dump()).toBe(before);
  });

  test("with the word of what is held torn: the kernel stays as it is, and control's word is taken anew without a write", async () => {
    const before = await holding();
    await agent?.close();
    await writeFile(stateFolder(disk).applied.path, "{");
    await start();
    control.issue(firewall(), 1);
    expect(await outcome(2)).toMatchObject({ generation: 1, result: "confirmed", stats: { writes: 0 } });
    expect(await server.dump()).toBe(before);
  });
});

describe("the clock set back by a day", () => {
  function setBack(): void {
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() - 86_400_000);
  }

  test("in mid-change: the server undoes it by the deadline all the same", async () => {
    const before = await holding();
    control.confirm = async ({ phase }) => {
      if (phase === "preflight") return { ok: true };
      setBack();
      throw new Error("no reply");
    };
    control.issue({ ...firewall({ port: 2222 }), deadlineMs: 6_000 }, 2);
    expect(await outcome(2)).toMatchObject({ result: "reverted", refusal: { step: "confirm" } });
    expect(await server.dump()).toBe(before);
  });

  test("during a pause: it ends on time, also for an agent that starts meanwhile", async () => {
    const before = performance.now();
    await holding();
    const tookMs = performance.now() - before;
    await agent?.close();
    const { paused } = stateFolder(disk);
    // the start is to be within it, however busy the machine is
    const until = new Date(Date.now() + Math.max(3_000, 2 * tookMs)).toISOString();
    await paused.write(pauseRecord({ until, reason: "drill", by: "root" }));
    setBack();
    await start();
    expect(agent?.status().state).toBe("paused");
    await waitUntil("the end of the pause", PATIENCE_MS, () => agent?.status().state === "idle");
  });
});

test("a boot during a pause: the agent fills nothing until it is over, then all, as nobody's drift", async () => {
  const before = await holding();
  await agent?.close();
  const { applied, paused } = stateFolder(disk);
  const stored = await applied.read();
  if (stored.kind !== "value") throw new Error("nothing is held");
  await applied.write({ ...stored.value, boot: "the one before" });
  const until = new Date(Date.now() + 600_000).toISOString();
  await paused.write(pauseRecord({ until, reason: "drill", by: "root" }));
  await server.sh(
    "for t in iptables ip6tables; do $t -F; $t -D INPUT -j SL-INPUT 2>/dev/null; $t -X; done; ipset destroy; tc qdisc del dev eth0 root",
  );
  await start();
  expect(agent?.status().state).toBe("paused");
  expect(await server.dump()).not.toContain("SL-INPUT");
  expect(await askLocally(stateFolder(disk).socket, { what: "resume" })).toMatchObject({ what: "done" });
  await waitUntil("all of it", PATIENCE_MS, async () => (await server.dump()) === before);
  await waitUntil("rest", PATIENCE_MS, () => agent?.status().state === "idle");
  // what was missing is told while it was; that it came is no repair
  expect(control.drifts().filter(({ action }) => action !== "reported")).toEqual([]);
});

test("the memory limit hit in mid-change: whatever becomes of the agent, the old manifest stands by the deadline", async () => {
  const before = await inMidChange(3_000, "verify");
  await runCommand("prlimit", ["--pid", String(agentPid()), "--as=1000000"]);
  child?.go();
  await waitUntil("the undo", PATIENCE_MS, async () => (await server.dump()) === before);
  await child?.child.stop("SIGKILL");
  await start();
  expect(agent?.status()).toMatchObject({ holds: { generation: 1 }, differences: [] });
  expect(await server.dump()).toBe(before);
});

function agentPid(): number {
  return child?.child.pid ?? 0;
}

describe("a device", () => {
  test("that goes and comes back: the rules are kept meanwhile, and its tree is there again with it", async () => {
    const before = await holding();
    await server.sh("ip link del eth0");
    await server.sh("iptables -F SL-web-ssh");
    await waitUntil("the repair of the rules", PATIENCE_MS, async () =>
      (await server.sh("iptables -S SL-web-ssh")).includes("limit"),
    );
    await server.sh(
      "ip link add eth0 address 02:00:00:00:00:10 type veth peer name peer0; ip addr add 192.0.2.10/24 dev eth0; ip addr add 2001:db8::10/64 dev eth0 nodad; ip link set eth0 up; ip link set peer0 up",
    );
    await waitUntil("all of it", PATIENCE_MS, async () => (await server.dump()) === before);
  });

  test("that goes in mid-change hinders no other part of the undo", async () => {
    await inMidChange(3_000);
    child?.child.signal("SIGKILL");
    await server.sh("ip link del eth0");
    const undo = undoFolder(`${disk}/undo`);
    await waitUntil("the undo", PATIENCE_MS, () => !["pending", "none"].includes(undo.outcome()));
    expect(undo.outcome()).toBe("reverted");
    expect(await server.sh("ip6tables -S SL-INPUT")).toContain("--dport 22 ");
  });

  test("that isn't there when a change comes: refused by name, and nothing is written", async () => {
    await holding();
    await server.sh("ip link del eth0");
    await waitUntil("the drift", PATIENCE_MS, () => agent?.status().state === "drifted");
    await waitUntil("its addresses no longer protected", PATIENCE_MS, async () => {
      const sets = await server.sh("ipset save");
      return !sets.includes("192.0.2.10") && !sets.includes("2001:db8::10");
    });
    const before = await server.dump();
    control.issue(firewall({ port: 2222 }), 2);
    expect(await outcome(2)).toMatchObject({
      result: "refused",
      refusal: { reason: expect.stringContaining("eth0") },
    });
    expect(await server.dump()).toBe(before);
  });

  test("that is renamed: what is missing is told, and back under its name it is shaped again", async () => {
    const before = await holding();
    await server.sh("ip link set eth0 down; ip link set eth0 name eth9; ip link set eth9 up");
    await waitUntil("the drift", PATIENCE_MS, () =>
      (agent?.status().differences ?? []).some(({ object }) => object.startsWith("eth0")),
    );
    await server.sh(
      "ip link set eth9 down; ip link set eth9 name eth0; ip link set eth0 up; ip addr replace 2001:db8::10/64 dev eth0 nodad",
    );
    await waitUntil("all of it", PATIENCE_MS, async () => (await server.dump()) === before);
    await waitUntil("no difference", PATIENCE_MS, () => agent?.status().state === "idle");
  });
});
