import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kernelText } from "../kernel-text.ts";
import { applyPolicy, endOf, rollOut } from "../lab.ts";
import { doorPolicy, isShut, knock } from "./door.ts";
import { controlAnswers, crashControl, startFaultLab } from "./fault-lab.ts";

/** Everything that could help is gone at once, in the middle of a change. */
let lab: Lab;
let namespace: string;
beforeAll(async () => {
  lab = await startFaultLab(1);
  ({ namespace } = lab.fabric.host("server-1"));
  await lab.client.lists.create.mutate({ list: "bans" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

test("with the agent, control, NATS and Postgres dead in mid-change, the server goes back by its deadline; when they are back, it is told", async () => {
  const before = await kernelText(namespace, "nft");
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000, deadline: "20s", gated: true }));
  const { rollout } = await lab.client.rollouts.start.mutate({ policy: "door" });
  await isShut(lab, "server-1", 9000);
  const agent = lab.agent("server-1");
  const agentIsDown = agent.down();
  agent.signal("SIGKILL");
  await Promise.all([
    agentIsDown,
    crashControl(lab),
    lab.nats.down({ crash: true }),
    lab.postgres.down({ crash: true }),
  ]);
  expect(await kernelText(namespace, "nft")).not.toBe(before);
  await waitUntil("the undo", 60_000, async () => (await kernelText(namespace, "nft")) === before);
  expect(await knock(lab, "server-1", 80)).toBe("refused");
  expect(await knock(lab, "server-1", 9000)).not.toBe("refused");

  await lab.postgres.up();
  await lab.nats.up();
  lab.control.start();
  agent.start();
  await controlAnswers(lab);
  expect(await endOf(lab, rollout)).toMatchObject({ state: "halted" });
  await waitUntil("the outcome", 60_000, async () => {
    const { servers } = await lab.client.rollouts.show.query({ rollout });
    return servers[0]?.state === "reverted";
  });
  expect(await kernelText(namespace, "nft")).toBe(before);
});
