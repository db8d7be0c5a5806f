import { mkdir, rm } from "node:fs/promises";
import type { Agent } from "@sluice/agents/run/agent";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { runCommand, tryCommand } from "@sluice/infra/process/run-command";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** The state folder on a small disk of its own, filled at the worst moments. */
let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;
let disk: string;
let fillAt: string | undefined;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  fillAt = undefined;
  disk = `${server.folder}/state`;
  await mkdir(disk);
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]);
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  await runCommand("umount", ["-l", disk]);
  await server.remove();
});

async function start(): Promise<void> {
  agent = await startTestAgent(server, control, {
    at: async (step) => {
      if (step === fillAt) await fill();
    },
  });
}

async function fill(): Promise<void> {
  await tryCommand("sh", ["-c", `cat /dev/zero > ${disk}/filler`]);
}

async function given(): Promise<string> {
  await start();
  control.issue(firewall(), 1);
  await outcomes(1);
  return await server.dump();
}

async function outcomes(count: number): Promise<void> {
  await waitUntil(`outcome ${count}`, 60_000, () => control.outcomes().length >= count);
  await waitUntil("rest", 30_000, () => agent?.status().state !== "applying");
}

const SECOND = firewall({ port: 2222, rate: "3mbit", office: ["203.0.113.0/24"] });

test("with no room for the undo files, nothing is written to the kernel", async () => {
  const before = await given();
  await fill();
  control.issue(SECOND, 2);
  await outcomes(2);
  expect(control.outcomes()[1]).toMatchObject({ result: "refused", refusal: { step: "journal" } });
  expect(await server.dump()).toBe(before);
});

test("a disk that fills up in mid-change doesn't keep the change from being undone and told", async () => {
  const before = await given();
  fillAt = "confirm";
  control.confirm = async ({ phase }) => (phase === "preflight" ? { ok: true } : { ok: false, reason: "no" });
  control.issue(SECOND, 2);
  await outcomes(2);
  expect(control.outcomes()[1]).toMatchObject({ result: "reverted", refusal: { step: "confirm" } });
  expect(await server.dump()).toBe(before);
});

test("a confirmed change stays confirmed, though the disk takes no word of it: also after a crash", async () => {
  await given();
  fillAt = "seal";
  control.issue(SECOND, 2);
  await outcomes(2);
  expect(control.outcomes()[1]).toMatchObject({ result: "confirmed" });
  const changed = await server.dump();
  const stored = await stateFolder(disk).applied.read();
  expect(stored).toMatchObject({ value: { generation: 1 } });

  fillAt = undefined;
  await agent?.close();
  await rm(`${disk}/filler`);
  await start();
  expect(agent?.status()).toMatchObject({ holds: { generation: 2 } });
  expect(await server.dump()).toBe(changed);
});

test("when there is room again, what was decided is kept and the next change goes on", async () => {
  await given();
  fillAt = "seal";
  control.issue(SECOND, 2);
  await outcomes(2);
  fillAt = undefined;
  await rm(`${disk}/filler`);
  control.issue(firewall(), 3);
  await outcomes(3);
  expect(control.outcomes()[2]).toMatchObject({ generation: 3, result: "confirmed" });
  expect(await stateFolder(disk).applied.read()).toMatchObject({ value: { generation: 3 } });
  expect(await stateFolder(disk).previous.read()).toMatchObject({ value: { generation: 2 } });
  expect(await stateFolder(disk).journal.read()).toEqual({ kind: "none" });
});
