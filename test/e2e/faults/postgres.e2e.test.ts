import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { type ErrorView, errorView } from "@sluice/proto/api/error";
import { TRPCClientError } from "@trpc/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock, openGate } from "./door.ts";
import {
  type BrokerView,
  dataOf,
  logHolds,
  lookIntoBroker,
  readLog,
  startFaultLab,
  streamEqualsLog,
} from "./fault-lab.ts";

/** and not after the 30 s for which a statement may wait */
const AT_ONCE_MS = 15_000;

let lab: Lab;
let broker: BrokerView;
let controlPid: number | undefined;
beforeAll(async () => {
  lab = await startFaultLab(1);
  broker = await lookIntoBroker(lab);
  controlPid = lab.control.pid();
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lab?.stop();
});

interface Burst {
  /** address → the revision that control said it came with */
  addresses: Map<string, number>;
  /** policy/revision → its text */
  revisions: Map<string, string>;
  refusals: ErrorView[];
  acknowledged(): number;
}

const WRITERS = 40;

/** Writers of addresses and of policies, each with its next command as soon as the last one is answered. */
function startBurst(): { burst: Burst; stop(): Promise<void> } {
  const burst: Burst = {
    addresses: new Map(),
    revisions: new Map(),
    refusals: [],
    acknowledged: () => burst.addresses.size + burst.revisions.size,
  };
  let stopped = false;

  async function one(writer: number, turn: number): Promise<void> {
    if (writer % 2 === 0) {
      const address = `198.18.${writer}.${turn}`;
      const { rev } = await lab.client.lists.change.mutate({ list: "bans", add: [address] });
      burst.addresses.set(address, rev);
    } else {
      const policy = `burst-${writer}`;
      const text = `policy: ${policy}\ndescription: turn ${turn}\ntargets: { servers: [server-1] }\n`;
      const view = await lab.client.policies.revise.mutate({ files: [{ name: "p.yaml", text }] });
      burst.revisions.set(`${policy}/${view.policies[0]?.revision}`, text);
    }
  }

  async function write(writer: number): Promise<void> {
    for (let turn = 1; !stopped && turn < 250; turn += 1) {
      await one(writer, turn).catch((error) => burst.refusals.push(viewOf(error)));
    }
  }
  const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  return {
    burst,
    async stop() {
      stopped = true;
      await writing;
    },
  };
}

const carried = z.object({ sluice: errorView });
function viewOf(error: unknown): ErrorView {
  if (!(error instanceof TRPCClientError)) throw error;
  return carried.parse(error.data).sluice;
}

test("through three crashes of Postgres under forty writers, what was acknowledged is in the log once, and the chain holds", async () => {
  const { burst, stop } = startBurst();
  for (let crash = 1; crash <= 3; crash += 1) {
    const enough = burst.acknowledged() + 20 + Math.random() * 60;
    await waitUntil("more acknowledged commands", 30_000, () => burst.acknowledged() > enough);
    await lab.postgres.restart({ crash: true });
  }
  const enough = burst.acknowledged() + WRITERS;
  await waitUntil("acknowledged commands after the last crash", 30_000, () => burst.acknowledged() > enough);
  await stop();

  const log = await readLog(lab);
  const added = dataOf(log, "ListChanged").flatMap(({ add, rev }) =>
    add.map(({ entry }) => [entry, rev] as const),
  );
  expect(added.map(([entry]) => entry)).toEqual([...new Set(added.map(([entry]) => entry))]);
  expect(Object.fromEntries(added)).toMatchObject(Object.fromEntries(burst.addresses));
  const revised = dataOf(log, "PolicyRevised").map(
    ({ policy, revision, text }) => [`${policy}/${revision}`, text] as const,
  );
  expect(revised.map(([name]) => name)).toEqual([...new Set(revised.map(([name]) => name))]);
  expect(Object.fromEntries(revised)).toMatchObject(Object.fromEntries(burst.revisions));
  expect(burst.refusals.filter(({ code }) => code !== "UNAVAILABLE")).toEqual([]);
  expect(await logHolds(lab)).toBe(true);
  expect(lab.control.pid()).toBe(controlPid);
});

test("after it the kernel holds every address that was acknowledged, and the EVENTS stream is the log", async () => {
  const acknowledged = dataOf(await readLog(lab), "ListChanged").flatMap(({ add }) => add);
  const { namespace } = lab.fabric.host("server-1");
  await waitUntil("every address in the kernel", 60_000, async () => {
    const saved = new Set((await execIn(namespace, "ipset", ["save"])).split(/\s/));
    return acknowledged.every(({ entry }) => saved.has(entry));
  });
  await streamEqualsLog(lab, broker);
});

test("a command while Postgres is away is not lost: it is done when it is back, or is told that it wasn't", async () => {
  await lab.postgres.down({ crash: true });
  const before = performance.now();
  const change = lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.9"] }).then(
    () => "done",
    (error) => viewOf(error),
  );
  const look = await lab.client.policies.ls.query({}).catch(viewOf);
  expect(look).toMatchObject({ code: "UNAVAILABLE", message: "the database is away", cure: "try again" });
  expect(performance.now() - before).toBeLessThan(AT_ONCE_MS);
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  await lab.postgres.up();
  const answer = await change;
  const log = dataOf(await readLog(lab), "ListChanged").flatMap(({ add }) => add);
  const stored = log.filter(({ entry }) => entry === "198.51.100.9").length;
  if (answer === "done") expect(stored).toBe(1);
  else expect(answer).toMatchObject({ code: "UNAVAILABLE" });
  expect(lab.control.pid()).toBe(controlPid);
});

test("Postgres killed while a server stands between applied and confirmed: the rollout completes when it is back", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000, gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door" });
  await isShut(lab, "server-1", 9000);
  await lab.postgres.down({ crash: true });
  await using _gate = await openGate(lab);
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
  await lab.postgres.up();
  expect(await endOf(lab, rollout)).toMatchObject({ state: "completed", servers: [{ state: "confirmed" }] });
  const confirmed = dataOf(await readLog(lab), "ServerConfirmed").map(({ generation }) => generation);
  expect(confirmed).toEqual([...new Set(confirmed)]);
  expect(lab.control.pid()).toBe(controlPid);
});
