import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ADMIN, portPolicy, startWorld, type World } from "./world.ts";

/** A year in small: two servers, a policy in four revisions, a list, a drift, an undo. */
let postgres: PostgresServer;
let world: World;
const times: Record<"start" | "first" | "second" | "end", string> = {
  start: "",
  first: "",
  second: "",
  end: "",
};

const SSH = "-p tcp --dport 22 -j ssh";
const WEB = "-p tcp --dport 443 -j ACCEPT";

function door(input: readonly string[], ssh: string, own = "ssh"): string {
  return [
    "policy: door",
    "targets: { labels: { role: web } }",
    "blocks: [bans]",
    "firewall:",
    "  filter:",
    "    INPUT:",
    ...input.map((rule) => `      - ${rule}`),
    `    ${own}:`,
    `      - ${ssh}`,
    "      - -s 192.0.2.0/24 -j RETURN",
    "",
  ].join("\n");
}

function mark(name: keyof typeof times): void {
  world.pass(60_000);
  times[name] = world.clock.now().toISOString();
  world.pass(60_000);
}

async function apply(text: string, reason: string): Promise<void> {
  await world.client.policies.revise.mutate({ files: [{ name: "door.yaml", text }], reason });
}

async function rollOut(generation: number, reason: string): Promise<void> {
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "door", reason });
  await world.outcome("s1", generation, "confirmed");
  await world.rolledOut(rollout);
}

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
  mark("start");
  await world.join("s1", { role: "web" });
  await world.join("s2", { role: "db" });
  await world.client.lists.create.mutate({ list: "bans" });
  await world.client.lists.change.mutate({
    list: "bans",
    add: ["203.0.113.7", "203.0.113.8"],
    reason: "guessing",
  });
  await apply(door([SSH], "-j DROP"), "shut the door");
  await rollOut(1, "first of all");
  mark("first");
  await apply(door([WEB, SSH], "-j DROP"), "open 443 for the larch portal");
  await rollOut(2, "the portal waits");
  await world.client.lists.change.mutate({ list: "bans", add: ["203.0.113.9"], del: ["203.0.113.7"] });
  mark("second");
  await apply(door([SSH.replace("ssh", "guard"), WEB], "-j DROP", "guard"), "a better name");
  await rollOut(3, "names");
  await world.client.servers.label.mutate({ server: "s1", set: { rack: "r7" }, reason: "moved" });
  await world.report("s1", {
    ...{ kind: "drift", generation: 3, action: "repaired" },
    differences: [{ driver: "iptables", object: "ip4/filter/SL-door-INPUT", kind: "changed" }],
    by: { pid: 17, tool: "iptables", user: "mallory", command: "iptables -F" },
  });
  mark("end");
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

describe("what was in force", () => {
  test("on a server: its policies and what their lists held, however much came later", async () => {
    const view = await world.client.audit.at.query({ time: times.first, server: "s1" });
    expect(view.servers).toMatchObject([
      { labels: { role: "web" }, confirmed: { generation: 1, assigned: [{ policy: "door", revision: 1 }] } },
    ]);
    expect(view.lists).toMatchObject([
      { list: "bans", rev: 1, entries: 2, content: [{ entry: "203.0.113.7" }, { entry: "203.0.113.8" }] },
    ]);
  });

  test("of a policy: its text, and who held it", async () => {
    const view = await world.client.audit.at.query({ time: times.first, policy: "door" });
    expect(view.policy).toMatchObject({ revision: 1, revised: { reason: "shut the door" } });
    expect(view.servers.map(({ server }) => server)).toEqual(["s1"]);
    const early = world.client.audit.at.query({ time: times.start, policy: "door" });
    await expect(early).rejects.toMatchObject({ data: { sluice: { code: "NOT_FOUND" } } });
  });

  test("of a list and of the fleet, page by page", async () => {
    const first = await world.client.audit.at.query({ time: times.second, list: "bans", limit: 1 });
    const second = await world.client.audit.at.query({
      time: times.second,
      list: "bans",
      limit: 1,
      after: first.next,
    });
    expect([first, second].map(({ lists }) => lists[0]?.content)).toEqual([
      [{ entry: "203.0.113.8" }],
      [{ entry: "203.0.113.9" }],
    ]);
    expect(second.next).toBeUndefined();
    const fleet = await world.client.audit.at.query({ time: times.end, limit: 1 });
    expect(fleet).toMatchObject({
      next: "s1",
      servers: [{ server: "s1", labels: { rack: "r7", role: "web" } }],
    });
    const rest = await world.client.audit.at.query({ time: times.end, limit: 1, after: fleet.next });
    expect(rest.servers.map(({ server }) => server)).toEqual(["s2"]);
  });

  test("is asked of one thing at a time", async () => {
    const both = world.client.audit.at.query({ time: times.end, server: "s1", policy: "door" });
    await expect(both).rejects.toMatchObject({ data: { sluice: { code: "INVALID" } } });
  });
});

test("two times differ in what servers held, in labels, lists and a policy's text", async () => {
  const fleet = await world.client.audit.diff.query({ from: times.first, to: times.end });
  expect(fleet.servers).toMatchObject([
    {
      ...{ server: "s1", added: false, labels: { set: { rack: "r7" }, unset: [] } },
      policies: [{ policy: "door", from: 1, to: 3 }],
    },
  ]);
  expect(fleet.lists).toEqual([
    { list: "bans", from: 1, to: 3, added: 1, removed: 1, add: ["203.0.113.9"], del: ["203.0.113.7"] },
  ]);
  const policy = await world.client.audit.diff.query({ from: times.first, to: times.second, policy: "door" });
  expect(policy.policy?.diff).toContain(`+      - ${WEB}`);
  const sinceTheStart = await world.client.audit.diff.query({ from: times.start, to: times.first });
  expect(sinceTheStart.servers.map(({ server, added }) => [server, added])).toEqual([
    ["s1", true],
    ["s2", true],
  ]);
  const backwards = world.client.audit.diff.query({ from: times.end, to: times.first });
  await expect(backwards).rejects.toMatchObject({ data: { sluice: { code: "INVALID" } } });
});

test("every line of a policy tells its revision, over another order and another name of its chain", async () => {
  const { lines } = await world.client.policies.blame.query({ policy: "door" });
  const of = (text: string) => lines.find((line) => line.text.includes(text));
  expect(of("--dport 22 -j guard")).toMatchObject({ revision: 1, revised: { reason: "shut the door" } });
  expect(of("--dport 443")).toMatchObject({
    revision: 2,
    revised: { reason: "open 443 for the larch portal" },
  });
  expect(of("guard:")).toMatchObject({ revision: 3 });
  expect(of("-j DROP")).toMatchObject({ revision: 1 });
});

describe("why a rule stands on a server", () => {
  test.each([
    ["as it is written", WEB],
    ["as iptables-save prints it", "-A SL-door-INPUT -p tcp -m tcp --dport 443 -j ACCEPT"],
  ])("is told of a rule %s: the revision, and the rollout that brought it", async (_, rule) => {
    const view = await world.client.audit.why.query({ server: "s1", rule });
    expect(view).toMatchObject({
      ...{ policy: "door", revision: 3, text: `      - ${WEB}` },
      since: { revision: 2, revised: { reason: "open 443 for the larch portal" } },
      held: {
        generation: 2,
        revision: 2,
        rollout: { started: { actor: "admin", reason: "the portal waits" } },
      },
    });
    const { events } = await world.client.audit.log.query({ before: view.held.decided.seq + 1, limit: 1 });
    expect(events).toMatchObject([{ type: "AssignmentDecided", data: { server: "s1", generation: 2 } }]);
  });

  test("is refused of a rule that no policy has", async () => {
    const asked = world.client.audit.why.query({ server: "s1", rule: "-A DOCKER -p udp --dport 9 -j LOG" });
    await expect(asked).rejects.toMatchObject({ data: { sluice: { code: "NOT_FOUND" } } });
    const then = world.client.audit.why.query({ server: "s1", rule: WEB, time: times.first });
    await expect(then).rejects.toMatchObject({ data: { sluice: { code: "NOT_FOUND" } } });
  });
});

test("a server's timeline has its changes, drift and labels, and who caused them", async () => {
  const { entries } = await world.client.audit.timeline.query({ server: "s1" });
  expect(entries.slice(0, 2)).toMatchObject([
    { kind: "drift", who: "mallory (iptables pid 17)", why: "iptables -F" },
    { kind: "server", who: "admin", why: "moved" },
  ]);
  expect(entries.filter(({ kind }) => kind === "change").map(({ who, why }) => [who, why])).toEqual([
    ["admin", "names"],
    ["admin", "the portal waits"],
    ["admin", "first of all"],
  ]);
  const first = await world.client.audit.timeline.query({ server: "s1", limit: 3 });
  const { cursor } = first;
  const rest = await world.client.audit.timeline.query({ server: "s1", limit: 1_000, cursor });
  expect([...first.entries, ...rest.entries]).toEqual(entries);
});

test("a policy that asks for a reason is stored, rolled out and retired with one only", async () => {
  const text = `${portPolicy("strict", 99)}reason: required\n`;
  const files = [{ name: "strict.yaml", text }];
  const missing = { data: { sluice: { code: "INVALID", problems: [{ path: "reason" }] } } };
  await expect(world.client.policies.revise.mutate({ files, reason: " " })).rejects.toMatchObject(missing);
  await world.client.policies.revise.mutate({ files, reason: "a strict one" });
  expect((await world.client.policies.revise.mutate({ files })).policies).toMatchObject([
    { action: "unchanged" },
  ]);
  const lax = [{ name: "strict.yaml", text: portPolicy("strict", 99) }];
  await expect(world.client.policies.revise.mutate({ files: lax })).rejects.toMatchObject(missing);
  await expect(world.client.rollouts.start.mutate({ policy: "strict" })).rejects.toMatchObject(missing);
  await expect(world.client.policies.retire.mutate({ policy: "strict" })).rejects.toMatchObject(missing);
  await world.client.policies.retire.mutate({ policy: "strict", reason: "too strict" });
});

describe("pages", () => {
  test("go on by a cursor, which another question doesn't take", async () => {
    const asked = { server: "s1", limit: 2 };
    const { cursor, events } = await world.client.audit.log.query(asked);
    const next = await world.client.audit.log.query({ ...asked, cursor });
    expect(next.events[0]?.seq).toBeLessThan(events.at(-1)?.seq ?? 0);
    for (const wrong of [
      { server: "s2", cursor },
      { server: "s1", cursor: "nonsense" },
    ])
      await expect(world.client.audit.log.query(wrong)).rejects.toMatchObject({
        data: { sluice: { code: "INVALID" } },
      });
  });

  test("are streamed whole as NDJSON, to whoever has a token", async () => {
    const address = new URL("/audit/log.ndjson?type=PolicyRevised&type=RolloutStarted", world.url);
    const headers = { authorization: `Bearer ${ADMIN}` };
    const rows = (await (await fetch(address, { headers })).text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const { events } = await world.client.audit.log.query({ types: ["PolicyRevised", "RolloutStarted"] });
    expect(rows).toEqual(events);
    expect((await fetch(address)).status).toBe(401);
    const wrong = await fetch(new URL("/audit/log.ndjson?type=Nothing", world.url), { headers });
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: "INVALID" }]);
  });
});
