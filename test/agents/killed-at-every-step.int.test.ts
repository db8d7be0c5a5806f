import { mkdir, rm } from "node:fs/promises";
import { STEPS, type Step } from "@sluice/agents/converge/parts";
import type { Agent } from "@sluice/agents/run/agent";
import { type UndoFolder, undoFolder } from "@sluice/agents/undo/undo-folder";
import { runCommand, tryCommand } from "@sluice/infra/process/run-command";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest, ManifestTakeover } from "@sluice/proto/manifest/manifest";
import { beforeAll, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { type AgentChild, startAgentChild } from "./child.ts";
import { createFakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/**
 * Wherever an agent ends, the server holds the old manifest or the new one by the deadline, whole, with nobody's help;
 * and the next agent agrees. The steps are the agent's own list: a new one is tried without a word here.
 */
const DEADLINE_MS = 2_000;
const FIRST = firewall();
/**
 * It takes over what stands there by hand: a chain, a built-in chain with its policy, but for another tool's jump in it, a table
 * and a root qdisc.
 */
const SECOND = shapedAtPeer(
  renamedSet({
    ...firewall({ port: 2222, rate: "5mbit", office: ["203.0.113.0/24"] }),
    takeover: takeovers(),
    deadlineMs: DEADLINE_MS,
  }),
);
const BY_HAND = [
  "iptables -N old",
  "iptables -A old -s 198.51.100.0/24 -j DROP",
  "iptables -N f2b-x",
  "iptables -A INPUT -p udp --dport 9 -j f2b-x",
  "iptables -A INPUT -i lo -j ACCEPT",
  "iptables -A INPUT -p tcp -j old",
  "iptables -P INPUT DROP",
  "ip6tables -P INPUT DROP",
  "iptables -A FORWARD -p icmp -j ACCEPT", // nobody claims it
  "iptables -t nat -N web",
  "iptables -t nat -A web -p tcp --dport 8080 -j REDIRECT --to-ports 80",
  "iptables -t nat -A PREROUTING -j web",
  "tc qdisc add dev peer0 root handle 7: htb default 30 r2q 10",
  "tc class add dev peer0 parent 7: classid 7:30 htb rate 1mbit ceil 2mbit burst 15k cburst 15k quantum 1514",
  "tc qdisc add dev peer0 parent 7:30 handle 30: pfifo limit 50",
].join(" && ");
/** sets, tables of each family, a tree for each device, and what of them goes */
const COMMITS = 8;
const AFTER_THE_MARK = ["old sets", "settle", "keep", "close"];
const WAY_BACK = ["give up", "undo"];
const PLACES = STEPS.flatMap((step) => placesOf(step));
const PATIENCE_MS = 240_000;

interface Place {
  step: Step;
  /** how often it was reached */
  time: number;
}

function placesOf(step: Step): Place[] {
  return Array.from({ length: step === "commit" ? COMMITS : 1 }, (_, index) => ({ step, time: index + 1 }));
}

function takeovers(): ManifestTakeover[] {
  const origin = { policy: "web", revision: 2, line: 9 };
  return [
    { what: "chain", family: 4, table: "filter", chain: "old", origin },
    { what: "chain", family: 4, table: "filter", chain: "INPUT", except: ["f2b-*"], origin },
    { what: "chain-policy", family: 4, table: "filter", hook: "INPUT", verdict: "ACCEPT", origin },
    { what: "chain-policy", family: 6, table: "filter", hook: "INPUT", verdict: "ACCEPT", origin },
    { what: "table", family: 4, table: "nat", origin },
    { what: "qdisc", device: "peer0", origin },
  ];
}

function shapedAtPeer(manifest: Manifest): Manifest {
  const { devices } = manifest;
  return { ...manifest, devices: [...devices, ...devices.map((one) => ({ ...one, device: "peer0" }))] };
}

/** So that the change has a set that goes, and one that comes. */
function renamedSet(manifest: Manifest): Manifest {
  return JSON.parse(JSON.stringify(manifest).replaceAll("sl-web-office-hn4", "sl-web-bureau-hn4"));
}

interface Given {
  server: TestServer;
  undo: UndoFolder;
  agent: AgentChild;
  disk: string;
}

/** how a server looks that holds the first, and the second */
let whole: [string, string];

beforeAll(async () => {
  const server = await createTestServer();
  await server.sh(BY_HAND);
  const control = createFakeControl();
  let commits = 0;
  const agent = await startTestAgent(server, control, {
    at(step) {
      if (step === "commit") commits += 1;
    },
  });
  const dumps: string[] = [];
  for (const [index, manifest] of [FIRST, SECOND].entries()) {
    commits = 0;
    control.issue(manifest, index + 1);
    await waitUntil("its outcome", 30_000, () => control.outcomes().length > index);
    expect(control.outcomes()[index]).toMatchObject({ result: "confirmed" });
    await isAtRest(agent);
    dumps.push(await looks(server));
  }
  expect(commits).toBe(COMMITS);
  expect(dumps[1]).toMatch(/-A INPUT .*-j f2b-x/);
  expect(dumps[1]).not.toMatch(/old|INPUT DROP|8080|htb 7:|pfifo/);
  await agent.close();
  await server.remove();
  whole = [dumps[0] ?? "", dumps[1] ?? ""];
});

/** All that it holds, the foreign tree included. */
async function looks(server: TestServer): Promise<string> {
  return `${await server.dump()}\n${await server.sh("tc class show dev peer0")}`;
}

async function isAtRest(agent: Agent): Promise<void> {
  await waitUntil("rest", 30_000, () => {
    const { state, differences } = agent.status();
    return state === "idle" && differences.length === 0;
  });
}

/** A server that holds the first manifest, and an agent that waits where the change to the second reaches a step. */
async function given(place: Place, work: (given: Given) => Promise<void>) {
  const server = await createTestServer();
  await server.sh(BY_HAND);
  const disk = `${server.folder}/state`;
  await mkdir(disk);
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
  const agent = startAgentChild(server, {
    manifests: [FIRST, SECOND],
    stopAt: place,
    answer: WAY_BACK.includes(place.step) ? "no" : "yes",
  });
  const undo = undoFolder(`${disk}/undo`);
  try {
    await agent.reached("held 1");
    agent.go();
    await agent.reached(`stopped at ${place.step}`);
    await work({ server, undo, agent, disk });
  } finally {
    await agent.child.stop("SIGKILL");
    if (undo.runner() !== undefined) await undo.order(0, "spare");
    await waitUntil("the runner's end", 30_000, () => undo.runner() === undefined);
    await runCommand("umount", ["-l", disk]);
    await server.remove();
  }
}

/** What the kernel holds is one of both, whole, and an agent that starts now agrees and leaves it so. */
async function isWhole({ server }: Given, generation: 1 | 2): Promise<void> {
  expect(withoutOld(await looks(server), generation)).toBe(whole[generation - 1]);
  const next = await startTestAgent(server, createFakeControl());
  try {
    await isAtRest(next);
    expect(next.status()).toMatchObject({ holds: { generation } });
    await waitUntil("no old set", 30_000, async () => (await looks(server)) === whole[generation - 1]);
  } finally {
    await next.close();
  }
}

/** A set that nothing uses any more may stay until the next agent: taking it is no part of the change. */
function withoutOld(dump: string, generation: 1 | 2): string {
  const old = generation === 2 ? "sl-web-office-hn4" : "sl-web-bureau-hn4";
  return dump
    .split("\n")
    .filter((line) => !/^(create|add) /.test(line) || !line.includes(old))
    .join("\n");
}

/** The runner has done its work, or has none. A step before its deadline is told has written nothing. */
async function runnerIsDone({ undo }: Given, step: string): Promise<void> {
  if (step === "deadline") return;
  await waitUntil("the runner's end", DEADLINE_MS + 30_000, () => undo.runner() === undefined);
}

describe.concurrent("with the disk full, control silent and the agent gone", () => {
  test.each(PLACES)(
    "an agent killed at step $step ($time) leaves the old manifest or the new one, whole",
    async (place) => {
      await given(place, async (server) => {
        await tryCommand("sh", ["-c", `cat /dev/zero > ${server.disk}/filler`]);
        server.agent.child.signal("SIGKILL");
        await server.agent.child.exited;
        await runnerIsDone(server, place.step);
        const generation = AFTER_THE_MARK.includes(place.step) ? 2 : 1;
        expect(withoutOld(await looks(server.server), generation)).toBe(whole[generation - 1]);
        await rm(`${server.disk}/filler`, { force: true });
        await isWhole(server, generation);
      });
    },
    PATIENCE_MS,
  );
});

describe.concurrent("stopped by a signal, and resumed after the deadline", () => {
  test.each(
    ["commit", "confirm", "seal", "old sets", "keep"].flatMap((step) =>
      PLACES.filter((one) => one.step === step),
    ),
  )(
    "an agent and its children at step $step ($time) don't do again what was undone",
    async (place) => {
      await given(place, async (server) => {
        const pids = [server.agent.child.pid, ...server.agent.children()];
        for (const pid of pids) process.kill(pid, "SIGSTOP");
        server.agent.go();
        await runnerIsDone(server, place.step);
        for (const pid of pids) resume(pid);
        await isOver(server);
        await isWhole(server, AFTER_THE_MARK.includes(place.step) ? 2 : 1);
      });
    },
    PATIENCE_MS,
  );

  test(
    "its children alone, with the change in their pipes, end before the undo",
    async () => {
      await given({ step: "commit", time: 3 }, async (server) => {
        const pids = server.agent.children();
        expect(pids.length).toBeGreaterThan(0);
        for (const pid of pids) process.kill(pid, "SIGSTOP");
        server.agent.go();
        await runnerIsDone(server, "commit");
        for (const pid of pids) resume(pid);
        await isOver(server);
        await isWhole(server, 1);
      });
    },
    PATIENCE_MS,
  );
});

/** It was ended, or has told what came of the change. */
async function isOver({ agent }: Given): Promise<void> {
  const told = () =>
    agent.lines.some((line) => line.startsWith("report ") && line.includes('"generation":2'));
  await waitUntil("the end of the change", 60_000, () => !agent.child.isRunning() || told());
  await agent.child.stop("SIGKILL");
}

function resume(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // the runner ended it
  }
}
