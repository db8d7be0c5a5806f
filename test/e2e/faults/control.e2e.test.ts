import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { EventType } from "@sluice/proto/events/event";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock, openGate } from "./door.ts";
import {
  type BrokerView,
  controlAnswers,
  crashControl,
  dataOf,
  logHolds,
  lookIntoBroker,
  readLog,
  startFaultLab,
  streamEqualsLog,
} from "./fault-lab.ts";

const WAVES = [["server-1"], ["server-2"]];
/** systemd and compose kill after 10 s and more */
const STOPS_WITHIN_MS = 10_000;

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

async function countOf(type: EventType): Promise<number> {
  return (await readLog(lab)).filter((event) => event.type === type).length;
}

async function next(type: EventType, before: number): Promise<void> {
  await waitUntil(`the next ${type}`, 30_000, async () => (await countOf(type)) > before);
}

test.each([
  ["a rollout has begun", "RolloutStarted", 9000],
  ["its first server is told", "AssignmentDecided", 80],
  ["its first server has confirmed", "ServerConfirmed", 9000],
] as const)(
  "control killed when %s, and started again: the rollout completes, nothing is decided twice",
  async (_, type, shut) => {
    await applyPolicy(lab, doorPolicy(lab, { shut }));
    const before = await countOf(type);
    const starting = lab.client.rollouts.start
      .mutate({ policy: "door", waves: WAVES })
      .catch(() => undefined);
    await next(type, before);
    await crashControl(lab);
    await starting;
    lab.control.start();
    await controlAnswers(lab);
    const [newest] = await lab.client.rollouts.ls.query({});
    expect(await endOf(lab, newest?.rollout ?? "")).toMatchObject({ state: "completed" });
    for (const [server] of WAVES) expect(await knock(lab, server ?? "", shut)).toBe("refused");
    const told = dataOf(await readLog(lab), "AssignmentDecided").filter(
      ({ rollout }) => rollout === newest?.rollout,
    );
    expect(told.map(({ server }) => server)).toEqual(["server-1", "server-2"]);
  },
);

test("control killed while a server stands between applied and confirmed: it enforces meanwhile, and the rollout completes", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 80, gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door", waves: WAVES });
  await isShut(lab, "server-1", 80);
  await crashControl(lab);
  await using _gate = await openGate(lab);
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  expect(await knock(lab, "server-2", 9000)).toBe("refused");
  lab.control.start();
  await controlAnswers(lab);
  expect(await endOf(lab, rollout)).toMatchObject({ state: "completed" });
});

test("however often control was killed, the EVENTS stream is the log: each event once, in its order", async () => {
  await streamEqualsLog(lab, broker);
  expect(await logHolds(lab)).toBe(true);
});

const LAST_WORDS = 2_000;

async function stopsCleanly(): Promise<void> {
  const before = performance.now();
  lab.control.signal("SIGTERM");
  const { code } = await lab.control.exited();
  const said = (await readFile(join(lab.folder, "control.log"), "utf8")).slice(-LAST_WORDS);
  expect(code, said).toBe(0);
  expect(performance.now() - before).toBeLessThan(STOPS_WITHIN_MS);
}

test("SIGTERM in the middle of a rollout ends control cleanly, and the next one completes it", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000, gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door", waves: WAVES });
  await isShut(lab, "server-1", 9000);
  await stopsCleanly();
  await using _gate = await openGate(lab);
  lab.control.start();
  await controlAnswers(lab);
  expect(await endOf(lab, rollout)).toMatchObject({ state: "completed" });
});

async function linesOfControl(text: string): Promise<number> {
  return (await readFile(join(lab.folder, "control.log"), "utf8")).split(text).length - 1;
}

test("control started before Postgres and NATS are up waits for them; SIGTERM ends the waiting", async () => {
  await stopsCleanly();
  await lab.postgres.down({ crash: true });
  await lab.nats.down({ crash: true });
  const before = await linesOfControl("waiting for Postgres");
  lab.control.start();
  const isWaiting = async () => (await linesOfControl("waiting for Postgres")) > before;
  await waitUntil("control waiting", 30_000, isWaiting);
  await stopsCleanly();
});

test("with Postgres up and NATS away control takes commands, and is done with them when NATS comes", async () => {
  lab.control.start();
  await lab.postgres.up();
  await waitUntil("control's answer", 60_000, async () => (await lab.client.lists.ls.query()).length > 0);
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.3"] });
  await lab.nats.up();
  const { namespace } = lab.fabric.host("server-2");
  await waitUntil("the address in the kernel", 60_000, async () =>
    (await execIn(namespace, "ipset", ["save"])).includes("198.51.100.3"),
  );
  await controlAnswers(lab);
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door", { waves: WAVES })).toMatchObject({ state: "completed" });
  await streamEqualsLog(lab, broker);
});

test("SIGTERM ends control cleanly and soon with NATS gone, and with Postgres gone and a command under way", async () => {
  await lab.nats.down({ crash: true });
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.4"] });
  await stopsCleanly();
  lab.control.start();
  await controlAnswers(lab);
  await lab.postgres.down({ crash: true });
  const change = lab.client.lists.change
    .mutate({ list: "bans", add: ["198.51.100.5"] })
    .catch(() => "not done");
  await stopsCleanly();
  await change;
});
