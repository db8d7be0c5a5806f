import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { AuditEventView } from "@sluice/proto/api/audit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;
/** between the second rollout and the third step */
let between = "";

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  await world.join("s1", { role: "web" });
  await world.join("s2", { role: "db" });
  await world.apply(portPolicy("a", 80));
  await rollOut("a", 1, "make it so");
  await world.apply(portPolicy("b", 90));
  await rollOut("b", 2, "and this");
  world.pass(60_000);
  between = world.clock.now().toISOString();
  world.pass(60_000);
  await world.apply(portPolicy("a", 81));
  await rollOut("a", 3, "another port");
  await world.client.servers.label.mutate({ server: "s2", set: { role: "spare" } });
});

afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

async function rollOut(policy: string, generation: number, reason: string): Promise<void> {
  const { rollout } = await world.client.rollouts.start.mutate({ policy, reason });
  await world.outcome("s1", generation, "confirmed");
  await world.rolledOut(rollout);
}

test("every event tells who and why, and what followed from a command shares its correlation", async () => {
  const { events } = await world.client.audit.log.query({ text: "another port" });
  expect(events).toMatchObject([{ type: "RolloutStarted", actor: "admin", reason: "another port" }]);
  const correlation = events[0]?.correlation;
  const all = await world.client.audit.log.query({ ...(correlation && { correlation }) });
  expect(all.events.map(({ type }) => type).reverse()).toEqual([
    "RolloutStarted",
    "WaveStarted",
    "AssignmentDecided",
    "ServerConfirmed",
    "RolloutCompleted",
  ]);
  expect(all.events.find(({ type }) => type === "ServerConfirmed")?.actor).toBe("agent:s1");
});

test("the log is found by policy, server, type, actor and time, newest first, page by page", async () => {
  const byPolicy = await world.client.audit.log.query({ policy: "b" });
  expect(byPolicy.events.map(({ type }) => type)).toEqual([
    "RolloutCompleted",
    "ServerConfirmed",
    "AssignmentDecided",
    "WaveStarted",
    "RolloutStarted",
    "PolicyRevised",
  ]);
  const byServer = await world.client.audit.log.query({ server: "s2" });
  expect(byServer.events.map(({ type }) => type)).toEqual([
    "ServerLabelled",
    "ServerEnrolled",
    "ServerAdded",
  ]);
  const revised = { types: ["PolicyRevised"] };
  expect((await world.client.audit.log.query({ ...revised, since: between })).events).toHaveLength(1);
  expect((await world.client.audit.log.query({ ...revised, until: between })).events).toHaveLength(2);
  expect((await world.client.audit.log.query({ actor: "agent:s1" })).events).toHaveLength(4);
  const first = await world.client.audit.log.query({ ...revised, limit: 2 });
  const rest = await world.client.audit.log.query({ ...revised, limit: 2, before: first.next ?? 0 });
  expect([...first.events, ...rest.events].map(({ summary }) => summary)).toEqual([
    "a got revision 2",
    "b got revision 1",
    "a got revision 1",
  ]);
  expect(rest.next).toBeUndefined();
});

test("an unknown type is refused with those there are", async () => {
  await expect(world.client.audit.log.query({ types: ["Nothing"] })).rejects.toMatchObject({
    data: { sluice: { code: "INVALID", cure: expect.stringContaining("PolicyRevised") } },
  });
});

test("what was in force at a time is what had been decided and confirmed by then", async () => {
  const then = await world.client.audit.at.query({ time: between, server: "s1" });
  expect(then.servers).toMatchObject([
    {
      decided: {
        generation: 2,
        assigned: [
          { policy: "a", revision: 1 },
          { policy: "b", revision: 1 },
        ],
      },
      confirmed: { generation: 2 },
    },
  ]);
  const now = await world.client.audit.at.query({ time: world.clock.now().toISOString(), server: "s1" });
  expect(now.servers[0]?.decided?.assigned).toContainEqual({ policy: "a", revision: 2 });
  expect(now.servers[0]?.decided?.manifest).not.toBe(then.servers[0]?.decided?.manifest);
  const all = await world.client.audit.at.query({ time: between });
  expect(all.servers.map(({ server, labels }) => [server, labels.role])).toEqual([
    ["s1", "web"],
    ["s2", "db"],
  ]);
});

test("before a server was there, there was none", async () => {
  await expect(
    world.client.audit.at.query({ time: "2001-01-01T00:00:00Z", server: "s1" }),
  ).rejects.toMatchObject({ data: { sluice: { code: "NOT_FOUND" } } });
});

test.each([
  ["a character that isn't one", () => world.client.audit.log.query({ text: "a\0b" })],
  ["a name with one", () => world.client.rollouts.show.query({ rollout: "r\0" })],
  ["a year before years", () => world.client.audit.at.query({ time: "0000-01-01T00:00:00Z" })],
])("%s is refused as input", async (_, ask) => {
  await expect(ask()).rejects.toMatchObject({ data: { sluice: { code: "INVALID" } } });
});

test("a tail tells of what is stored from now on, once and in order", async () => {
  const seen: AuditEventView[] = [];
  const tail = world.client.audit.tail.subscribe(
    { types: ["ListCreated"], after: 0 },
    { onData: (event) => seen.push(event) },
  );
  for (const list of ["one", "two", "three"]) await world.client.lists.create.mutate({ list });
  await waitUntil("three events", 30_000, () => seen.length === 3);
  tail.unsubscribe();
  expect(seen.map(({ data }) => data.list)).toEqual(["one", "two", "three"]);
});

test("the chain is verified, and every event is on its way to NATS in order without who and why", async () => {
  const result = await world.client.audit.verify.query();
  expect(result).toMatchObject({ ok: true, events: result.head.seq });
  await waitUntil("the relay", 30_000, () => world.link.events.length === result.head.seq);
  expect(world.link.events.map(({ seq }) => seq)).toEqual(world.link.events.map((_, i) => i + 1));
  expect(world.link.events.some(({ text }) => text.includes("make it so"))).toBe(false);
});

test("a stream that goes further than the log gets nothing, and is gone on with when it is the log's again", async () => {
  const anothers = { seq: 1_000_000, type: "PolicyRevised", text: "{}" };
  await world.restart(async () => void world.link.events.push(anothers));
  await world.client.lists.create.mutate({ list: "meanwhile" });
  const { head } = await world.client.audit.verify.query();
  expect(world.link.events.at(-1)).toEqual(anothers);
  world.link.events.pop();
  await waitUntil("the relay", 30_000, () => world.link.events.at(-1)?.seq === head.seq);
  expect(world.link.events.map(({ seq }) => seq)).toEqual(world.link.events.map((_, i) => i + 1));
});

test("control's pulse names the heads of the lists and the end of the log", async () => {
  const { head } = await world.client.audit.verify.query();
  await waitUntil("a pulse", 30_000, () => world.link.pulses.at(-1)?.checkpoint.seq === head.seq);
  expect(world.link.pulses.at(-1)).toMatchObject({ checkpoint: head, lists: { one: 0, three: 0 } });
});
