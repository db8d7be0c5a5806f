import type { Lab } from "@sluice/infra/lab/start-lab";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock, openGate } from "./door.ts";
import { dataOf, logHolds, readLog, startFaultLab } from "./fault-lab.ts";

const WAVES = [["server-1"], ["server-2"]];

let lab: Lab;
beforeAll(async () => {
  lab = await startFaultLab(2);
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

/** Every outcome that any server ever told is in the log once. */
async function outcomesOnce(): Promise<void> {
  const log = await readLog(lab);
  const told = [...dataOf(log, "ServerConfirmed"), ...dataOf(log, "ServerReverted")].map(
    ({ server, generation }) => `${server} ${generation}`,
  );
  expect(told).toEqual([...new Set(told)]);
  expect(await logHolds(lab)).toBe(true);
}

test("NATS killed while a server stands between applied and confirmed: every server enforces meanwhile, and the rollout completes when it is back", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000, gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door", waves: WAVES });
  await isShut(lab, "server-1", 9000);
  await lab.nats.down({ crash: true });
  expect(await knock(lab, "server-1", 9000)).toBe("refused");
  expect(await knock(lab, "server-2", 80)).toBe("refused");
  await using _gate = await openGate(lab);
  await lab.nats.up();
  expect(await endOf(lab, rollout)).toMatchObject({
    state: "completed",
    servers: [{ state: "confirmed" }, { state: "confirmed" }],
  });
  for (const [server] of WAVES) {
    expect(await knock(lab, server ?? "", 9000)).toBe("refused");
    expect(await knock(lab, server ?? "", 80)).toBe("accepted");
  }
  await outcomesOnce();
});

test("NATS killed as a rollout begins, and as its first wave confirms: it completes, and every outcome is told once", async () => {
  for (const [shut, moment] of [
    [80, "begins"],
    [9000, "confirms"],
  ] as const) {
    await applyPolicy(lab, doorPolicy(lab, { shut }));
    const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door", waves: WAVES });
    if (moment === "confirms") await isShut(lab, "server-1", shut);
    await lab.nats.restart({ crash: true });
    expect(await endOf(lab, rollout)).toMatchObject({ state: "completed" });
    expect(await knock(lab, "server-2", shut)).toBe("refused");
  }
  await outcomesOnce();
});

test("NATS away for longer than the deadline: the server goes back by itself, the rollout halts and says why, no other was touched", async () => {
  await applyPolicy(lab, doorPolicy(lab, { shut: 80, deadline: "5s", gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door", waves: WAVES });
  await isShut(lab, "server-1", 80);
  await lab.nats.down({ crash: true });
  await using _gate = await openGate(lab);
  await isShut(lab, "server-1", 9000);
  expect(await knock(lab, "server-1", 80)).toBe("accepted");
  await lab.nats.up();
  const view = await endOf(lab, rollout);
  expect(view).toMatchObject({ state: "halted" });
  expect(view.haltedBecause).toMatch(/^server-1 reverted: .*control could not be asked after the change/);
  expect(await knock(lab, "server-2", 9000)).toBe("refused");
  await outcomesOnce();
});
