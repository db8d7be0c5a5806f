import { randomUUID } from "node:crypto";
import { queryHistory } from "@sluice/db/history/query";
import { Appender } from "@sluice/db/log/append";
import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { DesiredEnvelope } from "@sluice/proto/wire/envelope";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { factsOf, portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres?.stop();
});

beforeEach(async () => {
  world = await startWorld(postgres.url);
  for (const server of ["s1", "s2", "s3"]) await world.join(server, { role: "web" });
});

afterEach(async () => {
  await world?.stop();
});

/** All three servers hold revision 1 of `a`, as generation 1. */
async function holdingA(): Promise<void> {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", reason: "first" });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed", confirmed: 3 });
}

async function assignedTo(server: string) {
  const [assignment] = await world.client.assignments.ls.query({ server });
  return assignment?.assigned;
}

test("a wave begins when every server of the one before it has confirmed, not earlier", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [1, "100%"] });
  await world.told("s1", 1);
  const before = await world.client.rollouts.show.query({ rollout });
  expect(before).toMatchObject({ state: "running", wave: 1, waves: 2 });
  expect(before.servers.map(({ state }) => state)).toEqual(["converging", "waiting", "waiting"]);
  expect(world.link.desired.has("s2")).toBe(false);
  await world.outcome("s1", 1, "confirmed");
  await world.outcome("s2", 1, "confirmed");
  expect(await world.client.rollouts.show.query({ rollout })).toMatchObject({ state: "running", wave: 2 });
  await world.outcome("s3", 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed", confirmed: 3 });
});

test("what is put for a server is the manifest that its assignment names, kept under its digest", async () => {
  await holdingA();
  const { manifest } = await world.told("s1", 1);
  const [assignment] = await world.client.assignments.ls.query({ server: "s1" });
  expect(assignment?.manifest).toBe(manifest.digest);
  expect(world.link.blobs.get(manifest.digest)).toContain("--dport 80");
});

test("the first failure halts it: no further wave, who confirmed keeps it, who failed is assigned what it held", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 81));
  const { rollout } = await world.client.rollouts.start.mutate({
    policy: "a",
    waves: [["s1", "s2"], ["s3"]],
  });
  await world.outcome("s1", 2, "confirmed");
  await world.outcome("s2", 2, "reverted", "ssh was not reached");
  const view = await world.rolledOut(rollout);
  expect(view).toMatchObject({ state: "halted", haltedBy: "s2" });
  expect(view.haltedBecause).toContain("ssh was not reached");
  expect(view.servers.map(({ state }) => state)).toEqual(["confirmed", "reverted", "unreached"]);
  expect(await assignedTo("s1")).toEqual([{ policy: "a", revision: 2 }]);
  expect(await assignedTo("s2")).toEqual([{ policy: "a", revision: 1 }]);
  expect(await assignedTo("s3")).toEqual([{ policy: "a", revision: 1 }]);
  const [before, after] = [await world.told("s3", 1), await world.told("s2", 3)];
  expect(after.manifest.digest).toBe(before.manifest.digest);
  expect(after.rollout).toBeUndefined();
});

test("an old content that fails as well is not tried for ever", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 81));
  await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await world.outcome("s1", 2, "reverted");
  await world.outcome("s1", 3, "refused", "not even this");
  expect(await world.client.servers.show.query({ server: "s1" })).toMatchObject({
    state: "failed",
    generation: 3,
    failure: { reason: "not even this" },
  });
});

test("a report that comes twice is one outcome", async () => {
  await world.apply(portPolicy("a", 80));
  await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await world.outcome("s1", 1, "confirmed", "", "report-1");
  await world.outcome("s1", 1, "confirmed", "", "report-1");
  await world.outcome("s1", 1, "confirmed", "", "report-2");
  const { events } = await world.client.audit.log.query({ types: ["ServerConfirmed"] });
  expect(events).toHaveLength(1);
});

test("a server that stays silent past its deadline halts it, and is assigned what it held", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 81));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  await world.told("s1", 2);
  world.pass(40_000);
  const view = await world.rolledOut(rollout);
  expect(view).toMatchObject({ state: "halted", haltedBy: "s1" });
  expect(view.servers.map(({ state }) => state)).toEqual(["silent", "unreached"]);
  await world.told("s1", 3);
  expect(await assignedTo("s1")).toEqual([{ policy: "a", revision: 1 }]);
});

test("nobody is called silent for the time in which control was away; for the time after it, as ever", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 81));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  await world.told("s1", 2);
  await world.restart(async () => world.pass(3_600_000, { pulses: false }));
  const { length } = world.link.pulses;
  await waitUntil("some looks at deadlines", 60_000, () => world.link.pulses.length > length + 5);
  await world.outcome("s1", 2, "confirmed");
  await world.told("s2", 2);
  world.pass(40_000);
  expect(await world.rolledOut(rollout)).toMatchObject({
    ...{ state: "halted", haltedBy: "s2" },
    servers: [{ state: "confirmed" }, { state: "silent" }],
  });
});

test("a rollback takes one policy back and leaves the others of its servers", async () => {
  await holdingA();
  await world.apply(portPolicy("b", 8080));
  const second = await world.client.rollouts.start.mutate({ policy: "b" });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 2, "confirmed");
  await world.rolledOut(second.rollout);
  await world.apply(portPolicy("a", 81));
  const third = await world.client.rollouts.start.mutate({ policy: "a" });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 3, "confirmed");
  await world.rolledOut(third.rollout);

  const back = await world.client.rollouts.rollback.mutate({ policy: "a", reason: "too slow" });
  expect(back).toMatchObject({ kind: "rollback", revision: 1, waves: 1 });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 4, "confirmed");
  await world.rolledOut(back.rollout);
  for (const server of ["s1", "s2", "s3"]) {
    expect(await assignedTo(server)).toEqual([
      { policy: "a", revision: 1 },
      { policy: "b", revision: 1 },
    ]);
  }
  const { manifest } = await world.told("s1", 4);
  expect(manifest.digest).toBe((await world.told("s2", 4)).manifest.digest);
});

test("a rollback moves no server forward: who holds an earlier revision keeps it, and a later one is refused", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 81));
  await world.apply(portPolicy("a", 82));
  await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await world.outcome("s1", 2, "confirmed");
  await world.client.rollouts.rollback.mutate({ policy: "a", to: 2 });
  await world.outcome("s1", 3, "confirmed");
  const held = [2, 1, 1].map((revision) => [{ policy: "a", revision }]);
  expect(await Promise.all(["s1", "s2", "s3"].map(assignedTo))).toEqual(held);
  await expect(world.client.rollouts.rollback.mutate({ policy: "a", to: 3 })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: "no server has a revision of a after 3" } },
  });
});

test("going back to what is there already is refused", async () => {
  await holdingA();
  await expect(world.client.rollouts.rollback.mutate({ policy: "a", to: 1 })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("already holds") } },
  });
  await expect(world.client.rollouts.start.mutate({ policy: "a" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("already holds") } },
  });
  await world.apply(portPolicy("a", 81));
  await world.apply(portPolicy("a", 80)); // revision 3 has the content of revision 1
  await expect(world.client.rollouts.start.mutate({ policy: "a" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("same content") } },
  });
});

test("a policy is taken off its servers, and only then it can be retired", async () => {
  await holdingA();
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", remove: true });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 2, "confirmed");
  await world.rolledOut(rollout);
  expect(await assignedTo("s1")).toEqual([]);
  expect((await world.client.servers.show.query({ server: "s1" })).state).toBe("empty");
  await world.client.policies.retire.mutate({ policy: "a" });
});

test("a server on which it can't be compiled refuses the start, and none is touched", async () => {
  const facts = factsOf("s2");
  await world.report("s2", { kind: "facts", facts: { ...facts, devices: [] } });
  const shaping = "shaping: { eth0: { classes: { all: { rate: 1mbit, default: true } } } }\n";
  await world.apply(portPolicy("a", 80) + shaping);
  await expect(world.client.rollouts.start.mutate({ policy: "a" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", problems: [{ message: expect.stringContaining("s2") }] } },
  });
  expect(world.link.desired.size).toBe(0);
  expect(await world.client.rollouts.ls.query()).toEqual([]);
});

test("a second rollout of a policy, or on the same servers, is refused by name", async () => {
  await world.apply(portPolicy("a", 80));
  await world.apply(portPolicy("b", 8080));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  const named = { data: { sluice: { code: "REFUSED", message: expect.stringContaining(rollout) } } };
  await expect(world.client.rollouts.start.mutate({ policy: "a", servers: ["s2"] })).rejects.toMatchObject(
    named,
  );
  await expect(
    world.client.rollouts.start.mutate({ policy: "b", servers: ["s1", "s2"] }),
  ).rejects.toMatchObject(named);
  const other = await world.client.rollouts.start.mutate({ policy: "b", servers: ["s2"] });
  expect(other.state).toBe("running");
});

test("of two rollouts started at once, one runs", async () => {
  await world.apply(portPolicy("a", 80));
  const starts = await Promise.allSettled(
    ["s1", "s2", "s3"].map((server) =>
      world.client.rollouts.start.mutate({ policy: "a", servers: [server] }),
    ),
  );
  expect(starts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("servers that can't answer are named, and nothing starts", async () => {
  await world.client.servers.add.mutate({ server: "s4", labels: { role: "web" } });
  await world.report("s3", { kind: "paused", until: "2999-01-01T00:00:00Z", reason: "mine", by: "root" });
  await world.apply(portPolicy("a", 80));
  await expect(world.client.rollouts.start.mutate({ policy: "a" })).rejects.toMatchObject({
    data: { sluice: { message: expect.stringMatching(/s3 is paused.*s4 isn't enrolled/) } },
  });
  const ok = await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1", "s2"] });
  expect(ok.inNoWave).toEqual(["s3", "s4"]);
});

test("a frozen fleet starts nothing, and a running rollout halts before its next wave", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  await world.told("s1", 1);
  await world.client.fleet.freeze.mutate({ reason: "holidays" });
  expect((await world.client.rollouts.show.query({ rollout })).state).toBe("running");
  await world.outcome("s1", 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({
    state: "halted",
    haltedBecause: expect.stringContaining("frozen"),
    servers: [{ state: "confirmed" }, { state: "unreached" }],
  });
  await expect(world.client.rollouts.start.mutate({ policy: "a" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("holidays") } },
  });
  await world.client.fleet.thaw.mutate({ reason: "back" });
  expect((await world.client.rollouts.start.mutate({ policy: "a", servers: ["s2"] })).state).toBe("running");
});

test("what a thaw that was cut short left undone is done by the next one", async () => {
  await holdingA();
  await world.client.fleet.freeze.mutate({ reason: "holidays" });
  const facts = factsOf("s2");
  await world.report("s2", {
    kind: "facts",
    facts: { ...facts, capabilities: { ...facts.capabilities, ipv6: false } },
  });
  expect((await world.client.servers.show.query({ server: "s2" })).generation).toBe(1);
  await world.restart(async (database) => {
    // recorded, and then nothing more: as if control had died right there
    const meta = { at: world.clock.now().toISOString(), actor: "admin", reason: "back", correlation: "c" };
    const event = { id: randomUUID(), type: "FleetThawed", schemaVersion: 1, data: {}, meta, keys: {} };
    await using appender = new Appender(database);
    await appender.append({ stream: "fleet", expected: 1, events: [event] });
  });
  await world.client.fleet.thaw.mutate({ reason: "back" });
  await world.told("s2", 2);
  expect(world.link.desired.get("s1")?.generation).toBe(1);
});

test("a restarted control takes a running rollout up where it was", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  await world.told("s1", 1);
  world.link.desired.clear();
  await world.restart();
  await world.outcome("s1", 1, "confirmed");
  await world.outcome("s2", 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed", confirmed: 2 });
});

test("a step that was cut short is made by the next control", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  const { manifest } = await world.told("s1", 1);
  await world.restart(async (database) => {
    // recorded, and then nothing more: as if control had died right there
    const data = { server: "s1", generation: 1, manifest: manifest.digest, rollout };
    const meta = { at: world.clock.now().toISOString(), actor: "agent:s1", reason: "", correlation: "c" };
    const event = { id: randomUUID(), type: "ServerConfirmed", schemaVersion: 1, data, meta };
    await using appender = new Appender(database);
    const before = (await queryHistory(database, { server: "s1" })).rows.length;
    const keys = { server: "s1", rollout };
    await appender.append({ stream: "server-s1", expected: before, events: [{ ...event, keys }] });
  });
  await world.outcome("s2", 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed", confirmed: 2 });
});

test("a watch tells of every change and ends with the rollout", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", waves: [["s1"], ["s2"]] });
  const seen: string[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    world.client.rollouts.watch.subscribe(
      { rollout },
      {
        onData: ({ state, wave, confirmed }) => seen.push(`${state} ${wave} ${confirmed}`),
        onComplete: () => resolve(),
        onError: reject,
      },
    );
  });
  await waitUntil("the first view", 30_000, () => seen.length > 0);
  await world.outcome("s1", 1, "confirmed");
  await world.outcome("s2", 1, "confirmed");
  await ended;
  expect(seen[0]).toBe("running 1 0");
  expect(seen.at(-1)).toBe("completed 2 2");
});

test("a label or a fact that changes a server's manifest is told to that server alone", async () => {
  const vars = "vars: { port: { value: 80, labels: { size=big: 81 } } }\n";
  await world.apply(vars + portPolicy("a", 80).replace("--dport 80", "--dport $port"));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a" });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 1, "confirmed");
  await world.rolledOut(rollout);
  const same = await world.client.servers.label.mutate({ server: "s1", set: { colour: "red" } });
  expect(same.generation).toBeUndefined();
  const changed = await world.client.servers.label.mutate({ server: "s1", set: { size: "big" } });
  expect(changed.generation).toBe(2);
  const { manifest } = await world.told("s1", 2);
  expect(world.link.blobs.get(manifest.digest)).toContain("--dport 81");
  expect(world.link.desired.get("s2")?.generation).toBe(1);

  const facts = factsOf("s2");
  const without = { ...facts.capabilities, ipv6: false };
  await world.report("s2", { kind: "facts", facts: { ...facts, capabilities: without } });
  await world.told("s2", 2);
  expect((await world.client.assignments.ls.query({ server: "s2" }))[0]).toMatchObject({ cause: "facts" });
});

/** What a server says when it has lost IPv6: its manifest comes out another. */
const withoutIpv6 = (server: string) => {
  const facts = factsOf(server);
  return {
    kind: "facts",
    facts: { ...facts, capabilities: { ...facts.capabilities, ipv6: false } },
  } as const;
};

test("a fact or a label that changes in mid-rollout waits until the generation that is under way has its outcome", async () => {
  const vars = "vars: { port: { value: 80, labels: { size=big: 81 } } }\n";
  await world.apply(vars + portPolicy("a", 80).replace("--dport 80", "--dport $port"));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a" });
  const first = await world.told("s1", 1);
  await world.told("s2", 1);
  await world.report("s1", withoutIpv6("s1"));
  const labelled = await world.client.servers.label.mutate({ server: "s2", set: { size: "big" } });
  expect(labelled).toMatchObject({ waitsFor: 1 });
  expect(await asksToKeep("s1", first)).toEqual({ ok: true });
  for (const server of ["s1", "s2", "s3"]) await world.outcome(server, 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed", confirmed: 3 });
  await world.told("s1", 2);
  expect(world.link.blobs.get((await world.told("s2", 2)).manifest.digest)).toContain("--dport 81");
  expect(world.link.desired.get("s3")?.generation).toBe(1);
  const causes = ["s1", "s2"].map(async (server) => {
    const [assignment] = await world.client.assignments.ls.query({ server });
    return assignment?.cause;
  });
  expect(await Promise.all(causes)).toEqual(["facts", "labels"]);
});

test("a fact that changed in mid-rollout is told after the way back from a refusal, once", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 8080));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await world.told("s1", 2);
  await world.report("s1", withoutIpv6("s1"));
  await world.outcome("s1", 2, "refused", "no such match");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "halted" });
  await world.outcome("s1", 3, "confirmed"); // what it held before
  await world.outcome("s1", 4, "refused", "no such match"); // the same without IPv6
  await world.outcome("s1", 5, "confirmed");
  expect(await assignedTo("s1")).toEqual([{ policy: "a", revision: 1 }]);
  expect((await world.client.servers.show.query({ server: "s1" })).generation).toBe(5);
});

test("a server that had its time and says what it is meanwhile is told at once", async () => {
  await holdingA();
  await world.apply(portPolicy("a", 8080));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await world.told("s1", 2);
  world.pass(3_600_000);
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "halted" });
  await world.told("s1", 3);
  world.pass(3_600_000);
  await waitUntil("its time to be over", 30_000, async () => {
    await world.report("s1", { kind: "facts", facts: factsOf("s1") });
    await world.report("s1", withoutIpv6("s1"));
    return world.link.desired.get("s1")?.generation === 4;
  });
});

/** A server asks, as it does after it has applied. */
function asksToKeep(server: string, { epoch, generation, manifest: { digest } }: DesiredEnvelope) {
  return world.link.linkIn().onConfirm(server, { epoch, generation, digest, phase: "confirm", reach: [] });
}

test("by hand: a server that has proven itself waits for a person; who is confirmed may stay, and it is told who did it and why", async () => {
  await world.apply(portPolicy("a", 80));
  const started = await world.client.rollouts.start.mutate({
    policy: "a",
    byHandMs: 60_000,
    servers: ["s1", "s2"],
  });
  const { rollout } = started;
  expect(started).toMatchObject({ byHandMs: 60_000 });
  const [s1, s2] = [await world.told("s1", 1), await world.told("s2", 1)];
  expect(s1).toMatchObject({ byHandMs: 60_000 });
  await expect(world.client.rollouts.confirm.mutate({ rollout })).rejects.toThrow("no server of");
  expect(await asksToKeep("s1", s1)).toMatchObject({ ok: false, waits: true });
  expect(await asksToKeep("s1", s1)).toMatchObject({ ok: false, waits: true });
  const view = await world.client.rollouts.show.query({ rollout });
  expect(view.servers).toMatchObject([
    { server: "s1", state: "proven", until: expect.any(String) },
    { server: "s2", state: "converging" },
  ]);
  await expect(world.client.rollouts.confirm.mutate({ rollout, servers: ["s2"] })).rejects.toThrow(
    "s2 doesn't wait",
  );
  await asksToKeep("s2", s2);
  await world.client.rollouts.confirm.mutate({ rollout, servers: ["s1"], reason: "pages load" });
  expect(await asksToKeep("s1", s1)).toEqual({ ok: true });
  expect(await asksToKeep("s2", s2)).toMatchObject({ ok: false, waits: true });
  await world.client.rollouts.confirm.mutate({ rollout });
  expect(await asksToKeep("s2", s2)).toEqual({ ok: true });
  for (const server of ["s1", "s2"]) await world.outcome(server, 1, "confirmed");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "completed" });
  const { events } = await world.client.audit.log.query({ types: ["RolloutConfirmed", "ServerProven"] });
  expect(events.map(({ type, actor, reason }) => [type, actor, reason])).toEqual([
    ["RolloutConfirmed", "admin", ""],
    ["RolloutConfirmed", "admin", "pages load"],
    ["ServerProven", "agent:s2", ""],
    ["ServerProven", "agent:s1", ""],
  ]);
});

test("by hand: nobody is silent while a person may still confirm; one that undoes halts it, and the others are told no", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({
    policy: "a",
    byHandMs: 600_000,
    servers: ["s1", "s2"],
  });
  const s2 = await world.told("s2", 1);
  await asksToKeep("s2", s2);
  world.pass(300_000);
  expect(await world.client.rollouts.show.query({ rollout })).toMatchObject({ state: "running" });
  await world.outcome("s1", 1, "reverted", "nobody confirmed it");
  expect(await world.rolledOut(rollout)).toMatchObject({ state: "halted", haltedBy: "s1" });
  expect(await asksToKeep("s2", s2)).toMatchObject({ ok: false, reason: expect.stringContaining("halted") });
  await expect(world.client.rollouts.confirm.mutate({ rollout })).rejects.toThrow("has halted");
});

test("a rollout that isn't by hand can't be confirmed by hand", async () => {
  await world.apply(portPolicy("a", 80));
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "a", servers: ["s1"] });
  await expect(world.client.rollouts.confirm.mutate({ rollout })).rejects.toThrow("isn't confirmed by hand");
  await expect(world.client.rollouts.confirm.mutate({ rollout: "r-none" })).rejects.toThrow(
    "there is no rollout",
  );
});
