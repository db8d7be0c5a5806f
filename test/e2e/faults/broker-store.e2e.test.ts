import { cp, rm } from "node:fs/promises";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock } from "./door.ts";
import {
  type BrokerView,
  dataOf,
  lookIntoBroker,
  readLog,
  startFaultLab,
  streamEqualsLog,
} from "./fault-lab.ts";

/** What the broker stored is a copy: Postgres has it all, so the broker may lose it, whole or in part. */
const SERVERS = ["server-1", "server-2"];
const WAVES = SERVERS.map((server) => [server]);

let lab: Lab;
let broker: BrokerView;
beforeAll(async () => {
  lab = await startFaultLab(2);
  broker = await lookIntoBroker(lab);
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lab?.stop();
});

function storeDir(): string {
  const { storeDir } = lab.nats;
  if (storeDir === undefined) throw new Error("this lab's broker has no store that could be lost");
  return storeDir;
}

/** The broker crashes, and comes back with what is in the folder, or with nothing. */
async function backWith(folder?: string): Promise<void> {
  await lab.nats.down({ crash: true });
  await rm(storeDir(), { recursive: true });
  if (folder !== undefined) await cp(folder, storeDir(), { recursive: true });
  await lab.nats.up();
}

/** The envelope of each server and the bytes of what it is to hold, the head of the list, and every event. */
async function allIsThere(): Promise<void> {
  const log = await readLog(lab);
  for (const server of SERVERS) {
    const newest = dataOf(log, "AssignmentDecided").findLast((one) => one.server === server);
    await waitUntil(`the newest envelope of ${server}`, 60_000, async () => {
      const bytes = await broker.newest("KV_desired", `$KV.desired.${server}`);
      const { body } = JSON.parse(Buffer.from(bytes ?? "").toString());
      return JSON.parse(body).generation === newest?.generation;
    });
    expect(await broker.newest("KV_blobs", `$KV.blobs.${newest?.manifest}.0`)).toBeDefined();
  }
  const { rev } = await lab.client.lists.show.query({ list: "bans" });
  await waitUntil("the newest head of the list", 60_000, async () => {
    const bytes = await broker.newest("KV_lists", "$KV.lists.bans");
    const { body } = JSON.parse(Buffer.from(bytes ?? "").toString());
    return JSON.parse(body).rev === rev;
  });
  await streamEqualsLog(lab, broker);
}

async function ban(address: string): Promise<void> {
  await lab.client.lists.change.mutate({ list: "bans", add: [address] });
  for (const { namespace } of lab.fabric.servers) {
    await waitUntil(`${address} in the kernel`, 60_000, async () =>
      (await execIn(namespace, "ipset", ["save"])).includes(address),
    );
  }
}

async function worksOn(address: string, shut: number): Promise<void> {
  await ban(address);
  await applyPolicy(lab, doorPolicy(lab, { shut }));
  expect(await rollOut(lab, "door", { waves: WAVES })).toMatchObject({ state: "completed" });
  for (const server of SERVERS) expect(await knock(lab, server, shut)).toBe("refused");
  await allIsThere();
}

test("NATS back with an empty store: envelopes, blobs, lists and the whole EVENTS stream are put again", async () => {
  await ban("198.51.100.1");
  await backWith();
  await allIsThere();
});

test("after an empty store everything works on: a list reaches every kernel, a rollout completes", () =>
  worksOn("198.51.100.2", 9000));

test("NATS back with an old store: no server goes back to what it held then, what came since is put again, all works on", async () => {
  const old = `${lab.folder}/old-store`;
  await lab.nats.down();
  await cp(storeDir(), old, { recursive: true });
  await lab.nats.up();
  await worksOn("198.51.100.3", 80);
  await backWith(old);
  await allIsThere();
  for (const server of SERVERS) await isShut(lab, server, 80, 1_000);
  await worksOn("198.51.100.4", 9000);
  const told = dataOf(await readLog(lab), "ServerConfirmed").map((one) => `${one.server} ${one.generation}`);
  expect(told).toEqual([...new Set(told)]);
  expect(dataOf(await readLog(lab), "DriftDetected")).toEqual([]);
});
