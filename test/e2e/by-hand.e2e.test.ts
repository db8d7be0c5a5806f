import { fileURLToPath } from "node:url";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { tryCommand } from "@sluice/infra/process/run-command";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { rolloutView } from "@sluice/proto/api/rollouts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, startTestLab } from "./lab.ts";

/** The command as a person runs it, who wants to look first. */
const CLI = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url));
const POLICY = `
policy: look
targets: { servers: ["*"] }
firewall:
  filter:
    INPUT: [ -p tcp --dport 8080 -j DROP ]
`;

let lab: Lab;
beforeAll(async () => {
  lab = await startTestLab(2);
  await applyPolicy(lab, POLICY);
});
afterAll(() => lab?.stop());

async function sluice(...words: string[]) {
  const ran = await tryCommand(process.execPath, [CLI, ...words, "--json"], {
    env: { ...process.env, SLUICE_URL: lab.context.url, SLUICE_TOKEN: lab.context.token, NO_COLOR: "1" },
    timeoutMs: 120_000,
  });
  const lines = ran.stdout.trim().split("\n");
  return { code: ran.code, json: JSON.parse(lines.at(-1) ?? "null") };
}

function rules(server: string): Promise<string> {
  return execIn(lab.fabric.host(server).namespace, "ip6tables", ["-S"]);
}

test("each server waits for a person: who is confirmed keeps the change, who isn't undoes it, and the rollout halts", async () => {
  const started = await sluice("rollout", "start", "look", "--by-hand", "30s", "--detach");
  expect(started.code).toBe(0);
  const { rollout } = rolloutView.parse(started.json);
  const states = async () =>
    rolloutView.parse((await sluice("rollout", "show", rollout)).json).servers.map(({ state }) => state);
  await waitUntil("both to wait", 60_000, async () => (await states()).every((state) => state === "proven"));
  for (const server of ["server-1", "server-2"]) expect(await rules(server)).toContain("--dport 8080");

  const confirmed = await sluice(
    "rollout",
    "confirm",
    rollout,
    "--server",
    "server-1",
    "--reason",
    "pages load",
  );
  expect(confirmed.code).toBe(0);
  await waitUntil("the first to keep it", 60_000, async () => (await states())[0] === "confirmed");
  const watched = await sluice("rollout", "watch", rollout);
  expect(watched.code).toBe(3);
  expect(rolloutView.parse(watched.json)).toMatchObject({
    state: "halted",
    haltedBy: "server-2",
    servers: [
      { state: "confirmed" },
      {
        state: "reverted",
        refusal: { step: "confirm", reason: expect.stringContaining("nobody confirmed it") },
      },
    ],
  });
  expect(await rules("server-1")).toContain("--dport 8080");
  expect(await rules("server-2")).not.toContain("--dport 8080");
  expect((await sluice("rollout", "confirm", rollout)).code).toBe(2);
});
