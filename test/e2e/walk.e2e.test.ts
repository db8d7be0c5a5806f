import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, planOf, rollBack, rollOut, startTestLab } from "./lab.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await startTestLab(1);
});
afterAll(() => lab?.stop());

const OPEN = `
policy: door
description: One rule
targets: { servers: [server-1] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 8080 -j REJECT --reject-with tcp-reset
reach: [tcp/22]
`;

async function knock(port: number, family: 4 | 6): Promise<string> {
  const host = lab.fabric.host("server-1");
  const to = family === 4 ? host.ipv4 : host.ipv6;
  return (await lab.outside.connect({ to, port, timeoutMs: 500 })).outcome;
}

test("one rule walks from a file into the kernel of a server, in both families, and the audit tells it", async () => {
  await applyPolicy(lab, OPEN.replace("8080", "80"), "shut the page");
  expect(await knock(80, 4)).toBe("accepted");

  const plan = await planOf(lab, { policy: "door" });
  expect(plan.answers).toMatchObject([{ server: "server-1", state: "ok" }]);
  expect(plan.answers[0]?.differences.length).toBeGreaterThan(0);
  expect(await execIn(lab.fabric.host("server-1").namespace, "iptables", ["-S"])).not.toContain("SL-");

  const rollout = await rollOut(lab, "door", { reason: "shut the page" });
  expect(rollout).toMatchObject({ state: "completed", servers: [{ state: "confirmed" }] });
  expect(await knock(80, 4)).toBe("refused");
  expect(await knock(80, 6)).toBe("refused");
  expect(await knock(22, 4)).toBe("accepted");

  const { events } = await lab.client.audit.log.query({ policy: "door" });
  expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["PolicyRevised", "RolloutStarted"]));
  expect(events.find(({ type }) => type === "PolicyRevised")?.reason).toBe("shut the page");
  expect(await lab.client.audit.verify.query()).toMatchObject({ ok: true });
});

test("a rollback brings the earlier revision's packets back", async () => {
  await applyPolicy(lab, OPEN, "open the page again");
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
  expect(await knock(80, 4)).toBe("accepted");
  expect(await rollBack(lab, "door", 1)).toMatchObject({ kind: "rollback", state: "completed" });
  expect(await knock(80, 4)).toBe("refused");
});
