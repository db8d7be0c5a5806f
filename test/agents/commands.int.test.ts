import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { exported } from "@sluice/agents/run/export";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { commandIn, tryExecIn } from "@sluice/infra/net/namespace";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { createSigningKey } from "@sluice/proto/base/sign";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** `sluice-agent` as root types it on the server, with NATS and control gone. */
const PROGRAM = fileURLToPath(new URL("../../agents/main.ts", import.meta.url));
const FOREIGN = "iptables -N f2b; iptables -A INPUT -p icmp -j f2b; ipset create other hash:ip";

let server: TestServer;
let folder: string;
let running: GuardedChild | undefined;

beforeEach(async () => {
  server = await createTestServer();
  folder = `${server.folder}/state`;
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await server.remove();
});

/** A server that held two generations; returns how it looked before any, with the first, and with the second. */
async function given() {
  await server.sh(FOREIGN);
  const bare = await server.dump();
  const control = createFakeControl();
  const agent = await startTestAgent(server, control);
  const dumps: string[] = [];
  for (const [generation, manifest] of [firewall(), firewall({ port: 2222, rate: "3mbit" })].entries()) {
    control.issue(manifest, generation + 1);
    await waitUntil("the outcome", 60_000, () => control.outcomes().length === generation + 1);
    await waitUntil("rest", 60_000, () => agent.status().state === "idle");
    dumps.push(await server.dump());
  }
  await agent.close();
  await stateFolder(folder).identity.write({
    server: "web-1",
    epoch: 1,
    keys: {},
    nats: { urls: ["nats://192.0.2.1:4222"] },
    control: ["192.0.2.1:4222"],
    reportKey: createSigningKey(),
    natsSeed: "",
  });
  return { bare, first: dumps[0], second: dumps[1] };
}

async function agentCommand(...args: string[]) {
  const { code, stdout, stderr } = await tryExecIn(
    server.namespace,
    process.execPath,
    [PROGRAM, ...args, "--state", folder],
    { env: { ...process.env, ...server.env }, timeoutMs: 110_000 },
  );
  return { code, stdout: stdout.trim(), stderr: stderr.trim() };
}

async function startAgentProcess(): Promise<void> {
  running = startGuarded(
    commandIn(server.namespace, [process.execPath, PROGRAM, "run", "--state", folder, "--poll", "200ms"]),
    { env: { ...process.env, ...server.env } },
  );
  running.stderr.resume();
  running.stdout.resume();
  await waitUntil(
    "the agent",
    60_000,
    async () => JSON.parse((await agentCommand("status", "--json")).stdout).running,
  );
}

describe.each(["running", "stopped"] as const)("with the agent %s and control gone", (mode) => {
  test("status and diff tell what is held and what differs", async () => {
    await given();
    if (mode === "running") await startAgentProcess();
    const status = await agentCommand("status", "--json");
    expect(status.code).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      server: "web-1",
      running: mode === "running",
      connected: false,
      holds: { generation: 2 },
      policies: [{ policy: "web", revision: 1 }],
    });
    expect(await agentCommand("diff")).toMatchObject({ code: 0, stdout: "no differences" });
    await agentCommand("pause", "--for", "10m", "--reason", "looking into it");
    await server.sh("iptables -F SL-web-ssh");
    const diff = await agentCommand("diff", "--json");
    expect(diff.code).toBe(3);
    expect(JSON.parse(diff.stdout)).toMatchObject({
      differences: [{ object: "ip4/filter/SL-web-ssh", kind: "changed" }],
    });
  });

  test("while paused, nothing is mended or reverted; when it ends, it is", async () => {
    const { second } = await given();
    if (mode === "running") await startAgentProcess();
    expect((await agentCommand("pause", "--for", "10m", "--reason", "drill")).code).toBe(0);
    const shown = JSON.parse((await agentCommand("status", "--json")).stdout);
    expect(shown).toMatchObject({ state: "paused", paused: { reason: "drill" } });
    expect(await agentCommand("revert")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("paused"),
    });
    if (mode === "stopped") await startAgentProcess();
    await server.sh("iptables -F SL-web-ssh");
    const damaged = await server.dump();
    await waitUntil("the look that sees it", 30_000, async () => {
      const { code, stdout } = await agentCommand("status", "--json");
      return code === 3 && JSON.parse(stdout).state === "paused";
    });
    await agentCommand("diff");
    expect(await server.dump()).toBe(damaged);
    expect((await agentCommand("resume")).code).toBe(0);
    await waitUntil("the repair", 60_000, async () => (await server.dump()) === second);
  });

  test("revert leads back to the manifest before, once", async () => {
    const { first } = await given();
    if (mode === "running") await startAgentProcess();
    expect(await agentCommand("revert")).toMatchObject({ code: 0, stdout: "generation 1 is held again" });
    expect(await server.dump()).toBe(first);
    const again = await agentCommand("revert", "--json");
    expect(again.code).toBe(2);
    expect(JSON.parse(again.stdout)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("no manifest before"),
    });
  });

  test("export prints a script of the bare tools, which makes an empty kernel hold the same", async () => {
    const { second } = await given();
    if (mode === "running") await startAgentProcess();
    const script = await agentCommand("export");
    expect(script.code).toBe(0);
    const json = exported.parse(JSON.parse((await agentCommand("export", "--json")).stdout));
    expect(json).toMatchObject({ server: "web-1", holds: { generation: 2 } });
    expect(json.tables.map(({ tool }) => tool)).toEqual(["iptables-nft-restore", "ip6tables-nft-restore"]);
    const bare = await createTestServer();
    try {
      await writeFile(`${bare.folder}/export.sh`, script.stdout);
      for (const _ of ["once", "twice"]) {
        await bare.sh(`${FOREIGN} 2>/dev/null; sh ${bare.folder}/export.sh`);
        expect(ours(await bare.dump())).toBe(ours(second ?? ""));
      }
    } finally {
      await bare.remove();
    }
  });

  test("uninstall takes out exactly what is ours, and the agent doesn't come back by itself", async () => {
    const { bare } = await given();
    if (mode === "running") await startAgentProcess();
    expect((await agentCommand("uninstall")).code).toBe(0);
    expect(await server.dump()).toBe(bare);
    expect(await agentCommand("uninstall")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^nothing of ours was there\ncontrol can't be told now; .*enrols again$/),
    });
    expect(await agentCommand("run")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("uninstalled"),
    });
  });
});

test("without a token, a server that isn't enrolled says what to do", async () => {
  expect(await agentCommand("run")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--join TOKEN"),
  });
});

test("two agents on one server: the second is refused, whatever its folder, and so is its uninstall", async () => {
  await given();
  await startAgentProcess();
  const folderOfFirst = folder;
  folder = `${server.folder}/other`;
  const refused = { code: 2, stderr: expect.stringMatching(/another agent \(pid \d+\) keeps this server's/) };
  expect(await agentCommand("run")).toMatchObject(refused);
  expect(await agentCommand("uninstall")).toMatchObject(refused);
  folder = folderOfFirst;
  await running?.stop("SIGKILL");
  await startAgentProcess(); // what a killed one left behind is no hindrance
});

test("what was changed while nobody looked is mended at start, without NATS", async () => {
  const { second } = await given();
  await server.sh("iptables -D INPUT -j SL-INPUT; ipset flush sl-web-office-hn4");
  await startAgentProcess();
  await waitUntil("the repair", 60_000, async () => (await server.dump()) === second);
});

/** Without what is foreign. */
function ours(dump: string): string {
  return dump
    .split("\n")
    .filter((line) => !/f2b|other/.test(line))
    .join("\n");
}
