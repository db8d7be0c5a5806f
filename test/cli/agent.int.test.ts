import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { status } from "@sluice/agents/run/local-protocol";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn, tryExecIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { difference } from "@sluice/proto/manifest/difference";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { applyPolicy, rollOut, startTestLab } from "../e2e/lab.ts";
import { doorPolicy } from "./policies.ts";

/**
 * `sluice-agent` as root types it on a server, with control gone. The tests go on from each other; the shapes are those
 * of docs/cli.md.
 */
const main = fileURLToPath(new URL("../../agents/main.ts", import.meta.url));
const done = z.strictObject({ ok: z.literal(true), message: z.string() });
const uninstalled = z.strictObject({ ok: z.literal(true), removed: z.array(z.string()), told: z.boolean() });
const diff = z.strictObject({ differences: z.array(difference) });
const failed = z.strictObject({ ok: z.literal(false), reason: z.string(), cure: z.string().optional() });

let lab: Lab;

beforeAll(async () => {
  lab = await startTestLab(1);
  await applyPolicy(lab, doorPolicy("22,80"));
  await rollOut(lab, "door");
  await applyPolicy(lab, doorPolicy("22,443"));
  await rollOut(lab, "door");
  lab.control.signal("SIGTERM");
  await lab.control.exited();
});
afterAll(() => lab?.stop());

function agent(...words: string[]) {
  return tryExecIn(
    lab.fabric.host("server-1").namespace,
    process.execPath,
    [main, ...words, "--state", lab.agent("server-1").stateFolder],
    { timeoutMs: 110_000 },
  );
}

/** One line of JSON, of exactly this shape. */
async function json<T>(shape: z.ZodType<T>, words: string[], code = 0): Promise<T> {
  const ran = await agent(...words, "--json");
  expect(ran, ran.stderr).toMatchObject({ code, stdout: expect.stringMatching(/^.+\n$/) });
  return shape.parse(JSON.parse(ran.stdout));
}

function kernel(): Promise<string> {
  return execIn(lab.fabric.host("server-1").namespace, "iptables", ["-S"]);
}

test("status and diff: what is held, and that the kernel holds it", async () => {
  expect(await json(status, ["status"])).toMatchObject({
    server: "server-1",
    running: true,
    state: "idle",
    holds: { generation: 2 },
    policies: [{ policy: "door", revision: 2 }],
    differences: [],
  });
  expect(await json(diff, ["diff"])).toEqual({ differences: [] });
});

test("pause and resume: nothing is repaired or reverted meanwhile, and what differs is told with 3", async () => {
  await json(done, ["pause", "--for", "10m", "--reason", "looking"]);
  expect((await json(status, ["status"])).paused).toMatchObject({ reason: "looking" });
  await execIn(lab.fabric.host("server-1").namespace, "iptables", ["-F", "SL-door-INPUT"]);
  expect(await json(diff, ["diff"], 3)).toMatchObject({
    differences: [{ object: "ip4/filter/SL-door-INPUT", kind: "changed" }],
  });
  expect((await json(status, ["status"], 3)).state).toBe("paused");
  expect((await json(failed, ["revert"], 2)).reason).toContain("paused");
  await json(done, ["resume"]);
  await waitUntil("the repair", 60_000, async () => (await kernel()).includes("--dports 22,443 -j ACCEPT"));
});

test("revert: the manifest before is held again, once", async () => {
  await json(done, ["revert"]);
  expect(await kernel()).toContain("--dports 22,80 -j ACCEPT");
  expect((await json(failed, ["revert"], 2)).reason).toContain("no manifest before");
});

test("uninstall: nothing of ours is left, and the agent stays down", async () => {
  await lab.agent("server-1").down();
  expect((await json(uninstalled, ["uninstall"])).removed).not.toEqual([]);
  expect(await kernel()).not.toContain("SL-");
  expect(await json(uninstalled, ["uninstall"])).toEqual({ ok: true, removed: [], told: true });
  expect(await agent("run")).toMatchObject({ code: 2, stderr: expect.stringContaining("uninstalled") });
});

test("wrong words are refused with 2, in a line that says where help is", async () => {
  expect(await agent("pause", "--for", "10m")).toMatchObject({
    code: 2,
    stderr: "error: required option '--reason <text>' not specified\n  → sluice-agent --help\n",
  });
  expect(await json(failed, ["pause", "--for", "soon", "--reason", "x"], 2)).toMatchObject({
    cure: expect.stringContaining("30m"),
  });
});

test("docs/cli.md has every command and option, and no others", async () => {
  const page = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
  const sections = [...page.matchAll(/^#### `sluice-agent (\w+)`\n(.*?)(?=^#)/gms)];
  const helps = await Promise.all(sections.map(([, command = ""]) => agent(command, "--help")));
  const commands = [...(await agent("--help")).stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(
    ([, name]) => name,
  );
  expect(sections.map(([, command]) => command).sort()).toEqual(commands.sort());
  for (const [index, [, , section = ""]] of sections.entries()) {
    const said = [...section.matchAll(/^- `(--.+?)`: /gm)].map(([, flags]) => flags);
    const there = [...(helps[index]?.stdout ?? "").matchAll(/^ {2}(--[a-z-]+(?: <\w+>)?) /gm)].map(
      ([, flags]) => flags,
    );
    const everywhere = ["--state <dir>", "--json"];
    expect([...said, ...everywhere].sort()).toEqual(there.sort());
  }
});
