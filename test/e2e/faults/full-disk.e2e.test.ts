import { randomUUID } from "node:crypto";
import { open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAgent } from "@sluice/infra/build/build-agent";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kernelText } from "../kernel-text.ts";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock, openGate } from "./door.ts";
import { dataOf, readLog, startFaultLab } from "./fault-lab.ts";

/** The agent's state lies on a file system of its own, so small that it can be filled. */
const SIZE = "4m";

let lab: Lab;
let namespace: string;
let program: string;
beforeAll(async () => {
  program = await agentOnSmallDisk();
  lab = await startFaultLab(1, { agentProgram: program });
  ({ namespace } = lab.fabric.host("server-1"));
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(async () => {
  await lab?.stop();
  await rm(program, { force: true });
});

/** `ip netns exec` gives the agent mounts of its own: what it mounts is seen by nobody else and ends with it. */
async function agentOnSmallDisk(): Promise<string> {
  const path = join(tmpdir(), `sluice-agent-${randomUUID()}.mjs`);
  const lines = [
    'import { execFileSync } from "node:child_process";',
    'import { mkdirSync } from "node:fs";',
    'const folder = process.argv[process.argv.indexOf("--state") + 1];',
    "mkdirSync(folder, { recursive: true });",
    `execFileSync("mount", ["-t", "tmpfs", "-o", "size=${SIZE},mode=700", "sluice-state", folder]);`,
    `await import(${JSON.stringify(await buildAgent())});`,
  ];
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

/** The agent's disk, as the agent sees it. */
function ballastFile(): string {
  const { stateFolder } = lab.agent("server-1");
  return join(`/proc/${lab.agent("server-1").pid()}/root`, stateFolder, "ballast");
}

/** Fills the disk to its last page; removed when it is disposed of. */
async function fillDisk(): Promise<AsyncDisposable> {
  const path = ballastFile();
  const file = await open(path, "w");
  try {
    for (;;) await file.write(Buffer.alloc(4096));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  } finally {
    await file.close();
  }
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}

function kernel(): Promise<string> {
  return kernelText(namespace, "nft");
}

test("a change is refused while the disk is full, before anything is written; with room again it is taken", async () => {
  const before = await kernel();
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000 }));
  {
    await using _full = await fillDisk();
    const view = await rollOut(lab, "door");
    expect(view).toMatchObject({ state: "halted" });
    expect(view.haltedBecause).toMatch(/^server-1 refused: .*(ENOSPC|no space)/i);
    expect(view.servers[0]?.refusal).toMatchObject({ step: "journal" });
    expect(await kernel()).toBe(before);
  }
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
});

test("a disk that fills up in the middle of a change hinders neither its undo nor the word of it", async () => {
  const before = await kernel();
  await applyPolicy(lab, doorPolicy(lab, { shut: 80, deadline: "6s", gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door" });
  await isShut(lab, "server-1", 80);
  await using _full = await fillDisk();
  const view = await endOf(lab, rollout);
  expect(view).toMatchObject({
    state: "halted",
    servers: [{ state: "reverted", refusal: { step: "probe" } }],
  });
  expect(await kernel()).toBe(before);
});

test("a disk that fills up in the middle of a change that then confirms: it is kept, told, and built on when there is room", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 80, deadline: "20s", gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door" });
  await isShut(lab, "server-1", 80);
  {
    await using _full = await fillDisk();
    await using _gate = await openGate(lab);
    expect(await endOf(lab, rollout)).toMatchObject({ state: "completed" });
    expect(await knock(lab, "server-1", 80)).toBe("refused");
  }
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
  const confirmed = dataOf(await readLog(lab), "ServerConfirmed").map(({ generation }) => generation);
  expect(confirmed).toEqual([...new Set(confirmed)]);
});

test("with the disk full and the agent dead the server still goes back by the deadline", async () => {
  const before = await kernel();
  await applyPolicy(lab, doorPolicy(lab, { shut: 80, deadline: "5s", gated: true }));
  await lab.client.rollouts.start.mutate({ policy: "door" });
  await isShut(lab, "server-1", 80);
  await using _full = await fillDisk();
  lab.agent("server-1").signal("SIGKILL");
  await lab.agent("server-1").down();
  await waitUntil("the kernel as it was", 30_000, async () => (await kernel()) === before);
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
});
