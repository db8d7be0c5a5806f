import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { askLocally } from "@sluice/agents/run/local-socket";
import { packetsOf } from "@sluice/infra/demo/kernel";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn, tryExecIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { listSet } from "@sluice/proto/base/names";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kernelText } from "../kernel-text.ts";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock } from "./door.ts";
import { controlAnswers, crashControl, dataOf, readLog, startFaultLab } from "./fault-lab.ts";

const AGENT = fileURLToPath(new URL("../../../dist/sluice-agent.mjs", import.meta.url));

let lab: Lab;
let namespace: string;
beforeAll(async () => {
  lab = await startFaultLab(1);
  ({ namespace } = lab.fabric.host("server-1"));
  await lab.client.lists.create.mutate({ list: "bans" });
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.1"] });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function drifts() {
  return dataOf(await readLog(lab), "DriftDetected");
}

/** An agent writes its lists down a while after they changed. */
async function listOnDisk(): Promise<void> {
  const file = join(lab.agent("server-1").stateFolder, "lists", "bans");
  const { rev } = await lab.client.lists.show.query({ list: "bans" });
  await waitUntil("the list on the disk", 30_000, async () =>
    (await readFile(file, "utf8")).startsWith(`${rev} `),
  );
}

function kernel(): Promise<string> {
  return kernelText(namespace, "nft");
}

async function status() {
  const reply = await askLocally(join(lab.agent("server-1").stateFolder, "agent.sock"), { what: "status" });
  if (reply?.what !== "status") throw new Error("the agent doesn't say how it is");
  return reply.status;
}

/** Killed, and kept down. */
async function killAgent(): Promise<void> {
  const agent = lab.agent("server-1");
  agent.signal("SIGKILL");
  await agent.down();
}

async function startAgent({ connected }: { connected: boolean }): Promise<void> {
  lab.agent("server-1").start();
  await waitUntil("the agent's word", 60_000, async () => (await status()).connected === connected);
}

test("an agent killed while idle: the server enforces on, and its next start leaves the kernel as it is, counters and all", async () => {
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  const before = await kernel();
  const counted = await packetsOf(namespace, "filter", "--dport 80");
  expect(counted).toBeGreaterThan(0);
  await killAgent();
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  await startAgent({ connected: true });
  await lab.client.drift.repair.mutate({ server: "server-1", reason: "a look at everything" });
  expect(await kernel()).toBe(before);
  expect(await packetsOf(namespace, "filter", "--dport 80")).toBeGreaterThan(counted);
  expect(await drifts()).toEqual([]);
});

test("what was decided while an agent was dead, it takes up when it starts, a rollout and a list, and calls none of it drift", async () => {
  await listOnDisk();
  await killAgent();
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000 }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door" });
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.2"], del: ["198.51.100.1"] });
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  lab.agent("server-1").start();
  expect(await endOf(lab, rollout)).toMatchObject({ state: "completed" });
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
  expect(await knock(lab, "server-1", 80)).toBe("accepted");
  await waitUntil("the list in the kernel", 60_000, async () => {
    const sets = await execIn(namespace, "ipset", ["save"]);
    return sets.includes("198.51.100.2") && !sets.includes("198.51.100.1");
  });
  expect(await drifts()).toEqual([]);
});

test("a second agent on the same state folder refuses in one sentence, and the first goes on", async () => {
  const { stateFolder } = lab.agent("server-1");
  const pid = lab.agent("server-1").pid();
  const second = await tryExecIn(namespace, process.execPath, [AGENT, "run", "--state", stateFolder]);
  expect(second.code).toBe(2);
  expect(second.stderr.trim().split("\n")).toEqual([
    expect.stringMatching(/^sluice-agent: another agent \(pid \d+\) uses \S+$/),
    expect.stringMatching(/^ {2}stop it first, or .*--state DIR$/),
  ]);
  expect(lab.agent("server-1").pid()).toBe(pid);
  expect(await status()).toMatchObject({ running: true, connected: true });
});

const CHAINS = ["ip4/filter/INPUT", "ip6/filter/INPUT"];
const SET = `set/${listSet("bans", 4)}`;
let driftsBefore = 0;

test("with control, NATS and Postgres dead, an agent that starts holds what it held, and mends what is changed by hand", async () => {
  const before = await kernel();
  await listOnDisk();
  driftsBefore = (await drifts()).length;
  await crashControl(lab);
  await lab.nats.down({ crash: true });
  await lab.postgres.down({ crash: true });
  await killAgent();
  await startAgent({ connected: false });
  expect(await kernel()).toBe(before);

  for (const tool of ["iptables", "ip6tables"]) {
    await execIn(namespace, tool, ["-F", "INPUT"]);
    await isShut(lab, "server-1", 9000, 30_000);
  }
  await execIn(namespace, "ipset", ["flush", listSet("bans", 4)]);
  await waitUntil("everything as it was", 60_000, async () => (await kernel()) === before);
});

test("when they are back, what was mended meanwhile is told, each of it once", async () => {
  await lab.postgres.up();
  await lab.nats.up();
  lab.control.start();
  await controlAnswers(lab);
  const told = async () =>
    (await drifts())
      .slice(driftsBefore)
      .flatMap(({ differences }) => differences.map(({ object }) => object));
  await waitUntil("the set's drift", 60_000, async () => (await told()).includes(SET));
  expect((await told()).sort()).toEqual([...CHAINS, SET]);
  expect((await drifts()).every(({ action }) => action === "repaired")).toBe(true);
});
