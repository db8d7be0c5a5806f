import { randomUUID } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createUser } from "@nats-io/nkeys";
import { createAgentLink } from "@sluice/agents/link/agent-link";
import type { AgentLink } from "@sluice/agents/link/link";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { type Client, createClient } from "@sluice/cli/client";
import { type NatsServer, startNats } from "@sluice/infra/fixtures/nats";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { freePort } from "@sluice/infra/process/free-port";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { createSigningKey } from "@sluice/proto/base/sign";
import { enrolReply } from "@sluice/proto/wire/enrol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ADMIN, factsOf, portPolicy } from "./world.ts";

/** Control as people run it: a process, with real Postgres and real NATS that come later and go away. */
const main = fileURLToPath(new URL("../../services/control/main.ts", import.meta.url));
let postgres: PostgresServer;
let nats: NatsServer;
let folder: string;
let url: string;
let client: Client;
let control: GuardedChild;
let agent: AgentLink;
const closing: (() => Promise<unknown>)[] = [];

function startControlProcess(): GuardedChild {
  return startMain([
    ...["--state-dir", join(folder, "state"), "--listen", url.replace("http://", "")],
    ...["--listen", `unix:${join(folder, "control.sock")}`, "--agent-endpoint", "127.0.0.1:4222"],
  ]);
}

function startMain(args: readonly string[]): GuardedChild {
  const child = startGuarded([process.execPath, main, ...args], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: postgres.url,
      NATS_URL: nats.url,
      SLUICE_ADMIN_TOKEN: ADMIN,
    },
  });
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

async function health(): Promise<unknown> {
  return await (await fetch(`${url}/healthz`)).json();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-process-"));
  postgres = await startPostgres({ own: true });
  nats = await startNats({ own: true });
  url = `http://127.0.0.1:${await freePort()}`;
  client = createClient({ url, token: ADMIN });
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
  await control?.stop("SIGKILL", 1_000);
  await nats?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("it starts before its neighbours are up, and works when they are", async () => {
  await postgres.down();
  await nats.down();
  control = startControlProcess();
  await postgres.up();
  await waitUntil("an answer", 60_000, async () => JSON.stringify(await health()).includes('"nats":false'));
  await client.lists.create.mutate({ list: "early" });
  await client.lists.change.mutate({ list: "early", add: ["203.0.113.1"] });
  await nats.up();
  await waitUntil("NATS", 60_000, async () => JSON.stringify(await health()).includes('"nats":true'));
});

test("its signing key is its own alone", async () => {
  const { mode } = await stat(join(folder, "state", "signing-key.json"));
  expect(mode & 0o777).toBe(0o600);
});

/** The agent's own link, enrolled as an agent is; the test plays what is behind it. */
async function enrolAgent(server: string): Promise<AgentLink> {
  const { token } = await client.servers.add.mutate({ server, labels: { role: "web" } });
  const reportKey = createSigningKey();
  const user = createUser();
  const reply = await fetch(`${url}/enrol`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token, publicKey: reportKey.publicKey, natsKey: user.getPublicKey() }),
  });
  const enrolled = enrolReply.parse(await reply.json());
  const natsSeed = new TextDecoder().decode(user.getSeed());
  const agent = await createAgentLink(
    {
      identity: { ...enrolled, reportKey, natsSeed },
      spoolFolder: join(folder, server),
      witnessFile: stateFolder(join(folder, server)).witness,
      newId: randomUUID,
      now: () => new Date(),
    },
    {
      onDesired: () => {},
      onPlan: () => {},
      onAsk: async () => ({ ok: false, reason: "not asked here" }),
      onControlPulse: () => {},
    },
  );
  closing.push(() => agent.close());
  return agent;
}

test("an enrolled agent hears what it is to hold, and its report ends the rollout", async () => {
  agent = await enrolAgent("real");
  await agent.report({ kind: "facts", facts: factsOf("real") });
  const beat = { v: 1 as const, server: "real", state: "idle" as const, epoch: 1, generation: 0 };
  await waitUntil("its pulse", 30_000, async () => {
    agent.pulse({ ...beat, at: new Date().toISOString(), digest: "", lists: {}, differences: 0 });
    const { facts, connected } = await client.servers.show.query({ server: "real" });
    return connected && facts !== undefined;
  });
  const files = [{ name: "p.yaml", text: `${portPolicy("a", 80)}blocks: [ early ]\n` }];
  await client.policies.revise.mutate({ files });
  const { rollout } = await client.rollouts.start.mutate({ policy: "a" });
  let desired = await agent.fetchDesired();
  await waitUntil("its key", 30_000, async () => {
    desired = await agent.fetchDesired();
    return desired !== undefined;
  });
  if (!desired?.ok) throw new Error(`what it fetched is not control's word: ${desired?.reason}`);
  const { generation, epoch, manifest } = desired.value;
  expect(desired.value).toMatchObject({ server: "real", rollout, generation: 1 });
  expect(Buffer.from(await agent.fetchBlob(manifest)).toString()).toContain("--dport 80");
  const request = { epoch, generation, digest: manifest.digest, phase: "confirm" as const, reach: [] };
  expect(await agent.confirm(request, 5_000)).toEqual({ ok: true });
  const { digest } = manifest;
  await agent.report({ kind: "outcome", epoch, generation, digest, rollout, result: "confirmed" });
  await waitUntil("its end", 30_000, async () => {
    return (await client.rollouts.show.query({ rollout })).state === "completed";
  });
  expect(await agent.fetchList("early")).toMatchObject({ ok: true, value: { rev: 1 } });
});

test("what was changed while NATS was away is there when it is back", async () => {
  await nats.down({ crash: true });
  const { rev } = await client.lists.change.mutate({ list: "early", add: ["203.0.113.2"] });
  expect(rev).toBe(2);
  await nats.up();
  await waitUntil("the list's head", 60_000, async () => {
    const head = await agent.fetchList("early");
    return head?.ok === true && head.value.rev === 2;
  });
});

test("Postgres going away and coming back loses nothing that was acknowledged", async () => {
  await postgres.down({ crash: true });
  expect((await fetch(`${url}/healthz`)).status).toBe(503);
  await postgres.up();
  let rev = 0;
  await waitUntil("an answer", 60_000, async () => {
    rev = (await client.lists.change.mutate({ list: "early", add: ["203.0.113.3"] })).rev;
    return true;
  });
  expect(rev).toBe(3);
  expect(await client.audit.verify.query()).toMatchObject({ ok: true });
});

test("its tables are rebuilt beside it while it serves", async () => {
  const before = await client.lists.show.query({ list: "early" });
  const { code } = await startMain(["rebuild"]).exited;
  expect(code).toBe(0);
  expect(await client.lists.show.query({ list: "early" })).toEqual(before);
  expect(await client.lists.change.mutate({ list: "early", add: ["203.0.113.4"] })).toMatchObject({ rev: 4 });
  expect((await startMain(["rebuilt"]).exited).code).toBe(1);
});

test("SIGTERM ends it cleanly, also with a subscription open", async () => {
  const opened = new Promise<void>((resolve) => {
    const tail = client.audit.tail.subscribe({ after: 0 }, { onData: () => resolve() });
    closing.push(async () => tail.unsubscribe());
  });
  await opened;
  control.signal("SIGTERM");
  expect((await control.exited).code).toBe(0);
});
