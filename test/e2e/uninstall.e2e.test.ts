import { fileURLToPath } from "node:url";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ServerRowView } from "@sluice/proto/api/servers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, rollOut, startTestLab } from "./lab.ts";

const SERVER = "server-1";
const PROGRAM = fileURLToPath(new URL("../../agents/main.ts", import.meta.url));
const POLICY = `policy: door
targets: { servers: ["*"] }
firewall:
  filter:
    INPUT: [-p tcp --dport 9 -j DROP]
`;

let lab: Lab;
beforeAll(async () => {
  lab = await startTestLab(1);
  await applyPolicy(lab, POLICY);
});
afterAll(() => lab?.stop());

async function uninstall(): Promise<{ told: boolean }> {
  await lab.agent(SERVER).down();
  const words = [PROGRAM, "uninstall", "--json", "--state", lab.agent(SERVER).stateFolder];
  return JSON.parse(await inServer(process.execPath, words));
}

function inServer(command: string, words: string[]): Promise<string> {
  return execIn(lab.fabric.host(SERVER).namespace, command, words);
}

async function enrolAnew(): Promise<void> {
  const { token } = await lab.client.servers.add.mutate({ server: SERVER, again: true });
  lab.agent(SERVER).start(token);
}

async function becomes(what: Partial<ServerRowView>): Promise<void> {
  await waitUntil(`${SERVER} as ${JSON.stringify(what)}`, 60_000, async () => {
    const [row] = await lab.client.servers.ls.query({});
    return Object.entries(what).every(([key, value]) => row?.[key as keyof ServerRowView] === value);
  });
}

test.each([
  ["heard at once", true],
  ["heard as the server enrols again, where NATS was away", false],
])("an uninstall is %s; the kernel stays as it is until a rollout says otherwise", async (_, isHeard) => {
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect(await inServer("iptables", ["-S"])).toContain("SL-door-INPUT");
  if (!isHeard) await lab.nats.down();
  expect(await uninstall()).toMatchObject({ told: isHeard });
  if (!isHeard) await lab.nats.up();
  await becomes({ state: isHeard ? "uninstalled" : "converged" });
  await enrolAnew();
  await becomes({ state: "empty", connected: true, agent: "idle" });
  expect(await inServer("iptables", ["-S"])).not.toContain("SL-door-INPUT");
});
