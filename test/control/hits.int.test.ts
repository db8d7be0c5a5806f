import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import type { HitCount, Hits } from "@sluice/proto/wire/hits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

const POLICY = `policy: door
targets: { labels: { role: web } }
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -p tcp --dport 22 -j ACCEPT
      - { rule: -p tcp --dport 23 -j DROP, mode: observe }
guards:
  ssh: { port: 22, limits: [{ hits: 2, within: 20s }] }
`;
const SSH = "firewall.filter.INPUT[0]";
const TELNET = "firewall.filter.INPUT[1]";
const SINCE = "2026-03-01T14:02:00.000Z";

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  for (const server of ["s1", "s2"]) await world.join(server, { role: "web" });
  await world.apply(POLICY);
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "door", reason: "" });
  for (const server of ["s1", "s2"]) await world.outcome(server, 1, "confirmed");
  await world.rolledOut(rollout);
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

async function tell(server: string, counts: Partial<HitCount>[], more: Partial<Hits> = {}): Promise<void> {
  const full = counts.map((one) => ({ path: SSH, observed: false, packets: 0, bytes: 0, ...one }));
  const hits = {
    v: 1,
    server,
    counter: "c1",
    policy: "door",
    revision: 1,
    since: SINCE,
    counts: full,
  } as const;
  await world.link.linkIn().onHits({ ...hits, ...more });
}

async function packetsOf(path: string, server?: string): Promise<number | undefined> {
  const { rules } = await world.client.policies.hits.query({ policy: "door", ...(server && { server }) });
  return rules.find((rule) => rule.path === path)?.packets;
}

test("before any server counted, every rule is there and none is called unused", async () => {
  const { revision, rules } = await world.client.policies.hits.query({ policy: "door" });
  expect(revision).toBe(1);
  expect(
    rules.map(({ line, text, mode, does, servers, unused }) => [line, text, mode, does, servers, unused]),
  ).toEqual([
    [4, "default INPUT drop", "enforce", "drop", 0, false],
    [7, "-p tcp --dport 22 -j ACCEPT", "enforce", "accept", 0, false],
    [8, "-p tcp --dport 23 -j DROP", "observe", "drop", 0, false],
    [10, "guard ssh", "enforce", "drop", 0, false],
  ]);
});

test("counts of all servers are summed; told again, late or twice they change nothing", async () => {
  await tell("s1", [
    { packets: 5, bytes: 300 },
    { path: TELNET, observed: true },
  ]);
  await tell("s2", [
    { packets: 2, bytes: 120 },
    { path: TELNET, observed: true, packets: 4, bytes: 240 },
  ]);
  await tell("s1", [{ packets: 9, bytes: 540 }]);
  await tell("s1", [{ packets: 9, bytes: 540 }]);
  await tell("s1", [{ packets: 5, bytes: 300 }]);
  const { rules } = await world.client.policies.hits.query({ policy: "door" });
  expect(rules.find(({ path }) => path === SSH)).toMatchObject({
    ...{ packets: 11, bytes: 660, servers: 2, hitOn: 2, since: SINCE, unused: false },
  });
  expect(rules.find(({ path }) => path === TELNET)).toMatchObject({ packets: 4, servers: 2, hitOn: 1 });
  expect(await packetsOf(SSH, "s2")).toBe(2);
});

test("a counter that began anew is added to what was there", async () => {
  await tell("s1", [{ packets: 1, bytes: 60 }], { counter: "c2" });
  await tell("s1", [{ packets: 3, bytes: 180 }], { counter: "c2" });
  expect(await packetsOf(SSH, "s1")).toBe(12);
});

test("many messages at once are all kept, whatever meets in one statement", async () => {
  const before = (await packetsOf(SSH, "s2")) ?? 0;
  const times = Array.from({ length: 200 }, (_, index) => index + 1);
  await Promise.all(times.map((time) => tell("s2", [{ packets: 2 + time, bytes: 0 }])));
  expect(await packetsOf(SSH, "s2")).toBe(before + 200);
});

test("what is no rule of a stored revision is passed over", async () => {
  await tell("s1", [{ path: "firewall.filter.INPUT[99]", packets: 1 }]);
  await tell("s1", [{ packets: 1 }], { revision: 77 });
  await tell("s1", [{ packets: 1 }], { policy: "nowhere" });
  const { rules } = await world.client.policies.hits.query({ policy: "door" });
  expect(rules).toHaveLength(4);
});

test("a rule that matched nothing anywhere is unused", async () => {
  await tell("s1", [{ path: "guards.ssh" }]);
  const { rules } = await world.client.policies.hits.query({ policy: "door" });
  expect(rules.filter(({ unused }) => unused).map(({ path }) => path)).toEqual(["guards.ssh"]);
});

test("a plan says what the rules that servers observe now would have dropped", async () => {
  const view = await world.client.plans.request.mutate({ of: { policy: "door" } });
  expect(view.observed).toMatchObject({
    revision: 1,
    rules: [{ path: TELNET, line: 8, packets: 4, servers: 2, hitOn: 1, since: SINCE }],
  });
});

test("servers count first where they are asked to; who doesn't answer is named", async () => {
  world.link.answer = async (server, ask) => {
    if (server === "s2" || ask.what !== "hits") return { ok: false, reason: "it is away" };
    await tell("s1", [{ packets: 1_000, bytes: 0 }], { counter: "c2" });
    return { ok: true, status: statusOf(server), differences: [], repaired: false };
  };
  const { rules, silent } = await world.client.policies.hits.query({ policy: "door", now: true });
  expect(silent).toEqual(["s2"]);
  expect(rules.find(({ path }) => path === SSH)?.packets).toBeGreaterThan(1_000);
});

test("what isn't there is refused by name", async () => {
  const hits = world.client.policies.hits;
  await expect(hits.query({ policy: "nowhere" })).rejects.toThrow("there is no policy nowhere");
  await expect(hits.query({ policy: "door", server: "s9" })).rejects.toThrow("s9");
  await expect(hits.query({ policy: "door", revision: 9 })).rejects.toThrow("no revision 9");
});

function statusOf(server: string) {
  const rest = { epoch: 1, generation: 1, digest: "", lists: {}, differences: 0 };
  return { v: 1, server, at: SINCE, state: "idle", ...rest } as const;
}
