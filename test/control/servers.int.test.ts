import { once } from "node:events";
import { createServer } from "node:net";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { enrolReply } from "@sluice/proto/wire/enrol";
import type { ReportBody } from "@sluice/proto/wire/report";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentKeys } from "./agent-keys.ts";
import { DISCONNECTED_AFTER_MS, factsOf, portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
});

afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

test("a token enrols one agent: the same may ask again, another may not", async () => {
  const { token } = await world.client.servers.add.mutate({ server: "new" });
  const agent = { token, ...agentKeys() };
  const first = enrolReply.parse(await (await world.post("/enrol", agent)).json());
  expect(first).toMatchObject({ server: "new", epoch: 1, control: ["198.51.100.1:7070"] });
  expect(Object.keys(first.keys)).toHaveLength(1);
  expect(await (await world.post("/enrol", agent)).json()).toEqual(first);
  const other = await world.post("/enrol", { ...agent, publicKey: agentKeys().publicKey });
  expect([other.status, await other.json()]).toMatchObject([412, { code: "REFUSED" }]);
  expect((await world.post("/enrol", { ...agent, token: "guessed" })).status).toBe(401);
  expect((await world.post("/enrol", { token })).status).toBe(400);
  expect(await world.link.linkIn().reportKey("new")).toBe(agent.publicKey);
});

test.each([
  ["no key", { publicKey: "c29tZXRoaW5n" }],
  ["a key of another kind", { publicKey: agentKeys().natsKey }],
  ["no NATS user", { natsKey: "nonsense" }],
])("an agent with %s isn't enrolled, and its token stays good", async (what, wrong) => {
  const server = `odd-${what.length}`;
  const { token } = await world.client.servers.add.mutate({ server });
  const agent = { token, ...agentKeys() };
  expect((await world.post("/enrol", { ...agent, ...wrong })).status).toBe(400);
  expect(await world.link.linkIn().reportKey(server)).toBeUndefined();
  expect((await world.post("/enrol", agent)).status).toBe(200);
});

test("a server added again has a new token, and its old agent is no longer heard", async () => {
  await world.join("again", { role: "x" });
  await expect(world.client.servers.add.mutate({ server: "again" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED" } },
  });
  const { token } = await world.client.servers.add.mutate({ server: "again", again: true });
  expect(await world.link.linkIn().reportKey("again")).toBeUndefined();
  const newer = agentKeys();
  await world.post("/enrol", { token, ...newer });
  expect(await world.link.linkIn().reportKey("again")).toBe(newer.publicKey);
  expect((await world.client.servers.show.query({ server: "again" })).labels).toEqual({ role: "x" });
});

describe.each(["at once", "as it enrols again"] as const)("an uninstall that is told %s", (when) => {
  const server = when === "at once" ? "gone-told" : "gone-silent";
  const policy = `only-${server}`;
  const uninstalled = { at: "2026-01-02T03:04:05.000Z", by: "ann" };
  const row = async () => (await world.client.servers.ls.query()).find((one) => one.server === server);
  const rollOut = () => world.client.rollouts.start.mutate({ policy });

  test("is recorded, shown and believed by rollouts", async () => {
    await world.join(server, { role: server });
    await world.apply(portPolicy(policy, 22, server));
    const { rollout } = await rollOut();
    await world.outcome(server, 1, "confirmed");
    await world.rolledOut(rollout);
    expect(await row()).toMatchObject({ state: "converged", assigned: [{ policy }] });
    if (when === "at once") {
      const told = () => world.report(server, { kind: "uninstalled", ...uninstalled }, "last");
      await told();
      expect(await row()).toMatchObject({ state: "uninstalled", assigned: [], differences: 0 });
      const view = await world.client.servers.show.query({ server });
      expect(view).toMatchObject({ uninstalledAt: expect.any(String), assignment: { assigned: [] } });
      expect(
        (await world.client.audit.at.query({ time: world.clock.now().toISOString(), server })).servers,
      ).toMatchObject([{ confirmed: { generation: 2, assigned: [] } }]);
      await expect(rollOut()).rejects.toThrow(`${server} was uninstalled`);
      await world.restart();
      await told();
      await world.client.servers.label.mutate({ server, set: { site: "x" } });
      expect(await row()).toMatchObject({ state: "uninstalled", generation: 2 });
    }
    const { token } = await world.client.servers.add.mutate({ server, again: true });
    await world.post("/enrol", { token, ...agentKeys(), uninstalled });
    expect(await row()).toMatchObject({ state: "empty", assigned: [] });
    const { events } = await world.client.audit.log.query({ server, types: ["ServerUninstalled"] });
    expect(events).toMatchObject([
      { data: uninstalled, actor: when === "at once" ? `ann@${server}` : `agent:${server}` },
    ]);
    world.pulse(server);
    const again = await rollOut();
    await world.outcome(server, 3, "confirmed");
    expect(await world.rolledOut(again.rollout)).toMatchObject({ state: "completed" });
    expect(await row()).toMatchObject({ state: "converged", generation: 3 });
  });
});

test("an uninstall halts the rollout that waits for that server, at once", async () => {
  await world.join("gone-midway", { role: "midway" });
  await world.apply(portPolicy("midway", 22, "midway"));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "midway" });
  await world.told("gone-midway", 1);
  await world.report("gone-midway", { kind: "uninstalled", at: "2026-01-02T03:04:05.000Z" });
  expect(await world.rolledOut(rollout)).toMatchObject({
    state: "halted",
    servers: [{ state: "reverted" }],
  });
});

test("a server without a pulse for long isn't connected", async () => {
  await world.join("beating");
  const row = async () => (await world.client.servers.ls.query()).find(({ server }) => server === "beating");
  expect(await row()).toMatchObject({ connected: true, agent: "idle", state: "empty" });
  world.pass(DISCONNECTED_AFTER_MS + 1_000, { pulses: false });
  expect(await row()).toMatchObject({ connected: false, lastSeenAt: expect.any(String) });
  world.pulse("beating");
  expect((await row())?.connected).toBe(true);
});

test("who was there is remembered over a restart", async () => {
  await world.restart();
  const row = (await world.client.servers.ls.query()).find(({ server }) => server === "beating");
  expect(row).toMatchObject({ connected: true });
});

const MISSING = { driver: "iptables", object: "ip4/filter/SL-INPUT", kind: "missing" } as const;

test("drift is current until it is mended, and the same within seconds is one event, counted", async () => {
  await world.join("drifter");
  const body: ReportBody = {
    ...{ kind: "drift", generation: 1, action: "reported", differences: [MISSING] },
    by: { pid: 7, tool: "iptables" },
  };
  for (const id of ["d1", "d2", "d2", "d3"]) await world.report("drifter", body, id);
  world.pulse("drifter", { state: "drifted", differences: 1 });
  const current = await world.client.drift.ls.query({ server: "drifter" });
  expect(current).toMatchObject([{ count: 3, current: true, by: { tool: "iptables" } }]);
  world.pass(11_000);
  world.pulse("drifter", { state: "drifted", differences: 1 });
  await world.report("drifter", { ...body, action: "repaired" }, "d4");
  world.pulse("drifter");
  expect(await world.client.drift.ls.query({ server: "drifter" })).toEqual([]);
  expect(await world.client.drift.ls.query({ server: "drifter", all: true })).toMatchObject([
    { action: "repaired", current: false, count: 1 },
    { action: "reported", current: false, count: 3 },
  ]);
});

test("drift in what one policy brought is in that policy's history; where several differ, in the server's", async () => {
  await world.join("traced");
  const of = (policy: string) => ({ ...MISSING, object: policy, origin: { policy, revision: 1, line: 3 } });
  for (const differences of [[of("door")], [of("door"), of("uplink")], [MISSING]])
    await world.report("traced", { kind: "drift", generation: 1, action: "reported", differences });
  const found = (filter: object) => world.client.audit.log.query({ types: ["DriftDetected"], ...filter });
  expect((await found({ server: "traced" })).events).toHaveLength(3);
  expect((await found({ policy: "door" })).events).toMatchObject([
    { data: { differences: [{ origin: { policy: "door" } }] } },
  ]);
});

test("what was put right by hand during a pause differs no more", async () => {
  await world.join("careful");
  await world.report("careful", {
    ...{ kind: "drift", generation: 1, action: "reported", differences: [MISSING] },
  });
  world.pass(5_000, { pulses: false });
  world.pulse("careful", { state: "paused", differences: 1 });
  expect(await world.client.drift.ls.query({ server: "careful" })).toMatchObject([{ current: true }]);
  world.pulse("careful", { state: "paused" });
  expect(await world.client.drift.ls.query({ server: "careful" })).toEqual([]);
});

test("a pulse from before a drift, heard after its report, doesn't end it; a later one does", async () => {
  await world.join("straggler");
  await world.withClockStopped(async () => {
    await world.report("straggler", {
      kind: "drift",
      generation: 1,
      action: "reported",
      differences: [MISSING],
    });
    world.pass(100, { pulses: false });
    world.pulse("straggler");
  });
  expect(await world.client.drift.ls.query({ server: "straggler" })).toMatchObject([{ current: true }]);
  const rows = await world.client.servers.ls.query({});
  expect(rows.find(({ server }) => server === "straggler")).toMatchObject({ differences: 1 });
  world.pass(5_000);
  expect(await world.client.drift.ls.query({ server: "straggler" })).toEqual([]);
});

test("a repair is asked of the server itself, and recorded with who and why", async () => {
  const differences = [{ driver: "tc" as const, object: "eth0/class/1:10", kind: "missing" as const }];
  world.link.answer = async (server, ask) => {
    if (ask.what !== "drift" || !ask.repair) return { ok: false, reason: "not asked for a repair" };
    const status = {
      ...{ v: 1 as const, server, at: world.clock.now().toISOString(), state: "idle" as const },
      ...{ epoch: 1, generation: 0, digest: "", lists: {}, differences: 0 },
    };
    return { ok: true, status, differences, repaired: true };
  };
  const view = await world.client.drift.repair.mutate({ server: "drifter", reason: "now" });
  expect(view).toEqual({ server: "drifter", repaired: true, differences });
  const { events } = await world.client.audit.log.query({ types: ["DriftRepairAsked"] });
  expect(events).toMatchObject([{ actor: "admin", reason: "now" }]);
  world.link.answer = async () => ({ ok: false, reason: "nobody there" });
  await expect(world.client.drift.repair.mutate({ server: "drifter" })).rejects.toMatchObject({
    data: { sluice: { code: "UNAVAILABLE", message: expect.stringContaining("nobody there") } },
  });
});

test("no repair is asked of a server that is paused, and why is said", async () => {
  await world.join("resting");
  const until = "2999-01-01T00:00:00Z";
  await world.report("resting", { kind: "paused", until, reason: "mine", by: "root" });
  await expect(world.client.drift.repair.mutate({ server: "resting" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: `resting is paused until ${until}` } },
  });
  const { events } = await world.client.audit.log.query({ server: "resting", types: ["DriftRepairAsked"] });
  expect(events).toEqual([]);
});

test("control permits only what is assigned now, and only when every reach is dialled from outside", async () => {
  await world.join("sure", { role: "sure" });
  await world.apply(portPolicy("sure", 80, "sure"));
  await world.client.rollouts.start.mutate({ policy: "sure" });
  const { generation, manifest, epoch } = await world.told("sure", 1);
  const { onConfirm } = world.link.linkIn();
  const open = createServer().listen(0, "127.0.0.1");
  await once(open, "listening");
  const address = open.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const request = {
    ...{ epoch, generation, digest: manifest.digest, phase: "confirm" as const },
    reach: [{ address: "127.0.0.1", port }],
  };
  expect(await onConfirm("sure", { ...request, phase: "preflight", digest: "" })).toEqual({ ok: true });
  expect(await onConfirm("sure", request)).toEqual({ ok: true });
  expect(await onConfirm("sure", { ...request, generation: 0 })).toMatchObject({ ok: false });
  expect(await onConfirm("sure", { ...request, digest: "another" })).toMatchObject({ ok: false });
  expect(await onConfirm("nobody", request)).toMatchObject({ ok: false });
  open.close();
  await once(open, "close");
  expect(await onConfirm("sure", request)).toMatchObject({
    ok: false,
    reason: expect.stringContaining(`127.0.0.1:${port}`),
  });
});

test("what an agent didn't obey is recorded", async () => {
  await world.report("sure", { kind: "rejected", what: "desired", reason: "wrong signature" });
  const { events } = await world.client.audit.log.query({ types: ["MessageRejected"] });
  expect(events).toMatchObject([{ summary: "sure rejected desired: wrong signature" }]);
});

test("what a server said before doesn't come back when the broker brings it again", async () => {
  await world.join("twice");
  const [older, newer] = ["5.10", "6.1"].map((kernel) => ({ ...factsOf("twice"), kernel }));
  if (older === undefined || newer === undefined) throw new Error("no facts");
  await world.report("twice", { kind: "facts", facts: older }, "said-first");
  await world.report("twice", { kind: "facts", facts: newer }, "said-then");
  await world.report("twice", { kind: "facts", facts: older }, "said-first");
  expect((await world.client.servers.show.query({ server: "twice" })).facts?.kernel).toBe("6.1");
});

test.each([
  ["a blank in its key", { "a b": "x" }],
  ["the sign between key and value in its key", { "a=b": "x" }],
  ["more lines than one", { a: "x\ny" }],
])("a label with %s is refused", async (_, set) => {
  await expect(world.client.servers.label.mutate({ server: "twice", set })).rejects.toMatchObject({
    data: { sluice: { code: "INVALID" } },
  });
});
