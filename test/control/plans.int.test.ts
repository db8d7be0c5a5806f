import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { factsOf, portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  await world.join("s1", { role: "web" });
  await world.join("s2", { role: "web" });
  await world.join("bare", { role: "web" }, { ...factsOf("bare"), devices: [] });
});

afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

const SHAPING = "shaping: { eth0: { classes: { all: { rate: 1mbit, default: true, leaf: auto } } } }\n";

async function answer(server: string, plan: string, result: "ok" | "refused"): Promise<void> {
  await waitUntil(`the plan at ${server}`, 60_000, () => world.link.plans.get(server)?.plan === plan);
  const digest = world.link.plans.get(server)?.manifest.digest ?? "";
  await world.report(server, {
    ...{ kind: "plan", plan, digest, result },
    ...(result === "refused" && { refusal: { step: "rehearse", reason: "the kernel said no" } }),
    differences: [{ driver: "iptables", object: "ip4/filter/SL-a-INPUT", kind: "missing" }],
    warnings: [],
  });
}

test("a server without a manifest is answered for at once; the others answer by themselves, and it is refused", async () => {
  const file = { name: "p.yaml", text: portPolicy("shaped", 80) + SHAPING };
  const view = await world.client.plans.request.mutate({ of: { file } });
  const stateOf = (name: string) => view.answers.find(({ server }) => server === name);
  expect(view.state).toBe("running");
  expect(stateOf("bare")).toMatchObject({
    state: "refused",
    refusal: { step: "compile", reason: expect.stringContaining("eth0") },
  });
  expect(stateOf("s1")?.state).toBe("waiting");
  await answer("s1", view.plan, "ok");
  await answer("s2", view.plan, "refused");
  const end = await world.planned(view.plan);
  expect(end.state).toBe("refused");
  expect(end.answers.map(({ server, state }) => [server, state])).toEqual([
    ["bare", "refused"],
    ["s1", "ok"],
    ["s2", "refused"],
  ]);
  expect(end.answers[2]?.refusal?.reason).toBe("the kernel said no");
  expect(end.answers[1]?.warnings).toEqual([expect.stringContaining("auto is pfifo here")]);
});

test("planning a file stores no policy", async () => {
  expect((await world.client.policies.ls.query()).map(({ policy }) => policy)).not.toContain("shaped");
});

test("a server that hasn't answered by the deadline is silent", async () => {
  const file = { name: "p.yaml", text: portPolicy("quiet", 80) };
  const view = await world.client.plans.request.mutate({ of: { file }, servers: ["s1", "s2"] });
  await answer("s1", view.plan, "ok");
  world.pass(31_000);
  const end = await world.planned(view.plan);
  expect(end.answers.map(({ state }) => state)).toEqual(["ok", "silent"]);
  expect(end.state).toBe("refused");
});

test("a rollout by a plan starts only while every server would hold what it rehearsed", async () => {
  await world.apply(portPolicy("planned", 80));
  const servers = ["s1", "s2"];
  const { plan } = await world.client.plans.request.mutate({ of: { policy: "planned" }, servers });
  await answer("s1", plan, "ok");
  await answer("s2", plan, "ok");
  expect((await world.planned(plan)).state).toBe("ok");

  const facts = factsOf("s2");
  const poorer = { ...facts, capabilities: { ...facts.capabilities, ipv6: false } };
  await world.report("s2", { kind: "facts", facts: poorer });
  const start = () => world.client.rollouts.start.mutate({ policy: "planned", servers, plan });
  await expect(start()).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("s2"), cure: "plan again" } },
  });
  await world.report("s2", { kind: "facts", facts });
  expect((await start()).state).toBe("running");
});

test("a file with a problem is refused with its place, and asks no server", async () => {
  const before = (await world.client.plans.ls.query()).length;
  const file = { name: "bad.yaml", text: `${portPolicy("bad", 80)}colour: red\n` };
  await expect(world.client.plans.request.mutate({ of: { file } })).rejects.toMatchObject({
    data: { sluice: { code: "INVALID", problems: [{ place: { file: "bad.yaml", line: 7 } }] } },
  });
  expect(await world.client.plans.ls.query()).toHaveLength(before);
});

test("a plan of an imported policy tells where its server differs by now, or that it can't be told", async () => {
  const rules = (port: number) => [
    {
      family: 4 as const,
      lines: ["*filter", ":INPUT ACCEPT", `-A INPUT -p tcp -m tcp --dport ${port} -j DROP`],
    },
  ];
  const standing = (port: number) => ({ rules: rules(port), sets: [], qdiscs: [], untold: [] });
  let port = 22;
  const rest = { epoch: 1, generation: 1, digest: "", lists: {}, differences: 0 };
  const status = { v: 1, server: "s1", at: "2026-01-01T00:00:00.000Z", state: "idle", ...rest } as const;
  world.link.answer = async () => ({
    ...{ ok: true, status, differences: [], repaired: false, present: standing(port) },
  });
  const { text } = await world.client.servers.import.query({ server: "s1", policy: "as-it-stands" });
  await world.apply(text);
  const warned = async () => {
    const { plan } = await world.client.plans.request.mutate({ of: { policy: "as-it-stands" } });
    await answer("s1", plan, "ok");
    return (await world.planned(plan)).answers[0]?.warnings.slice(1); // the first: it does nothing yet
  };
  expect(await warned()).toEqual([]);
  port = 2222;
  expect(await warned()).toEqual([
    "filter/INPUT: -p tcp -m tcp --dport 22 -j DROP (IPv4) doesn't stand there any more",
    "filter/INPUT: -p tcp -m tcp --dport 2222 -j DROP (IPv4) stands there, and the policy doesn't say it",
  ]);
  world.link.answer = async () => ({ ok: false, reason: "it is away" });
  expect(await warned()).toEqual([expect.stringContaining("can't be told: s1 didn't tell")]);
});
