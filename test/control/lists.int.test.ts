import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { applyDelta, emptyList, readSnapshot } from "@sluice/proto/wire/list-state";
import { afterAll, beforeAll, expect, test } from "vitest";
import { factsOf, portPolicy, startWorld, type World } from "./world.ts";

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

async function create(list: string): Promise<void> {
  await world.client.lists.create.mutate({ list });
}

/** Waits until everything of a list is told; what an agent that heard every delta holds. */
async function heard(list: string, rev: number) {
  await waitUntil(`rev ${rev} of ${list}`, 60_000, () =>
    world.link.deltas.some((delta) => delta.list === list && delta.rev === rev),
  );
  const state = emptyList();
  for (const delta of world.link.deltas.filter((one) => one.list === list)) {
    expect(applyDelta(state, delta)).toBe("applied");
  }
  return state;
}

test("entries are kept in one form, and what is there already is no change", async () => {
  await create("forms");
  const input = { list: "forms", add: ["192.0.2.7/32", "192.0.2.7", "198.51.100.130/25", "2001:DB8::0:1"] };
  const first = await world.client.lists.change.mutate({ ...input, list: "forms" }).catch((error) => error);
  // 198.51.100.1 is control's own address, and lies in none of these
  expect(first).toMatchObject({ rev: 1, added: 3, unchanged: 1, entries: 3 });
  expect(await world.client.lists.change.mutate(input)).toMatchObject({ rev: 1, added: 0, unchanged: 4 });
  const { entries } = await world.client.lists.show.query({ list: "forms" });
  expect(entries.map(({ entry }) => entry)).toEqual(["192.0.2.7", "198.51.100.128/25", "2001:db8::1"]);
});

test("ten thousand addresses in one call are stored once and told in deltas that fit a message", async () => {
  await create("mass");
  const add = Array.from({ length: 10_000 }, (_, i) => `100.64.${i >> 8}.${i & 255}`);
  const view = await world.client.lists.change.mutate({ list: "mass", add, reason: "a list of bad ones" });
  expect(view).toMatchObject({ added: 10_000, entries: 10_000 });
  const state = await heard("mass", view.rev);
  expect(state.entries.size).toBe(10_000);
  const largest = Math.max(...world.link.deltas.map((delta) => JSON.stringify(delta).length));
  expect(largest).toBeLessThan(700_000);
  expect(JSON.stringify(world.link.heads.get("mass")).length).toBeLessThan(700_000);
});

test("who was away finds in head, snapshot and tail what those heard who were there", async () => {
  await create("away");
  for (let i = 1; i <= 70; i += 1) {
    await world.client.lists.change.mutate({ list: "away", add: [`203.0.113.${i}`] });
  }
  const { rev } = await world.client.lists.change.mutate({ list: "away", del: ["203.0.113.5"] });
  const there = await heard("away", rev);
  const head = world.link.heads.get("away");
  const { snapshot } = head ?? {};
  expect(snapshot?.rev).toBeGreaterThan(0);
  expect(head?.tail.length).toBeLessThanOrEqual(64);
  const text = world.link.blobs.get(snapshot?.blob.digest ?? "") ?? "";
  const state = readSnapshot(Buffer.from(text), snapshot?.rev ?? 0, snapshot?.digest ?? "");
  if (state === undefined) throw new Error("the snapshot isn't what its digest says");
  for (const delta of head?.tail ?? []) expect(applyDelta(state, delta)).toBe("applied");
  expect(state.digest).toBe(there.digest);
  expect([...state.entries.keys()].sort()).toEqual([...there.entries.keys()].sort());
});

test("a restarted control goes on where the list was", async () => {
  await create("kept");
  await world.client.lists.change.mutate({ list: "kept", add: ["203.0.113.1"], forMs: 600_000 });
  await heard("kept", 1);
  await world.restart();
  const { rev } = await world.client.lists.change.mutate({ list: "kept", add: ["203.0.113.2"] });
  expect(rev).toBe(2);
  expect((await heard("kept", 2)).entries.size).toBe(2);
});

test("an address for a time is gone after it, and its going is recorded", async () => {
  await create("timed");
  await world.client.lists.change.mutate({ list: "timed", add: ["203.0.113.9"], forMs: 60_000 });
  const entries = async () => (await world.client.lists.show.query({ list: "timed" })).entries;
  expect(await entries()).toHaveLength(1);
  world.pass(61_000);
  expect(await entries()).toHaveLength(0);
  await waitUntil("the sweep", 60_000, async () => {
    return (await world.client.lists.show.query({ list: "timed" })).rev === 2;
  });
  const { events } = await world.client.audit.log.query({ list: "timed", limit: 1 });
  expect(events[0]).toMatchObject({ actor: "sluice", reason: "expired", data: { del: ["203.0.113.9"] } });
});

test("addresses of servers and of control are refused by name, and nothing of the call is done", async () => {
  await create("bold");
  await world.join("web-1", { role: "web" });
  const own = factsOf("web-1").devices[0]?.addresses[0]?.split("/")[0] ?? "";
  for (const [entry, owner] of [
    [own, "web-1"],
    ["10.0.0.0/24", "web-1"],
    ["198.51.100.0/30", "control"],
  ]) {
    await expect(
      world.client.lists.change.mutate({ list: "bold", add: ["203.0.113.1", entry ?? ""] }),
    ).rejects.toMatchObject({
      data: {
        sluice: {
          code: "REFUSED",
          problems: [{ found: entry, message: expect.stringContaining(owner ?? "") }],
        },
      },
    });
  }
  expect((await world.client.lists.show.query({ list: "bold" })).total).toBe(0);
});

test("a range is kept as its networks, so that nothing in it is taken away with something else", async () => {
  await create("ranges");
  const change = (what: { add?: string[]; del?: string[] }) =>
    world.client.lists.change.mutate({ list: "ranges", ...what });
  expect(await change({ add: ["203.0.113.0-203.0.113.5"] })).toMatchObject({ added: 2, entries: 2 });
  expect(await change({ add: ["203.0.113.0/30"] })).toMatchObject({ added: 0, unchanged: 1 });
  expect(await change({ del: ["203.0.113.4-203.0.113.5"] })).toMatchObject({ removed: 1, entries: 1 });
});

test.each([
  ["::ffff:203.0.113.7", "is IPv4 written as IPv6: write 203.0.113.7"],
  ["::/0", "is every address there is"],
])("%s can't be in a list: it %s", async (entry, message) => {
  await world.client.lists.create.mutate({ list: `odd-${entry.length}` });
  const adding = world.client.lists.change.mutate({ list: `odd-${entry.length}`, add: [entry] });
  await expect(adding).rejects.toMatchObject({
    data: { sluice: { problems: [{ found: entry, message: expect.stringContaining(message) }] } },
  });
});

test("a lifetime beyond any calendar is refused as input", async () => {
  const adding = world.client.lists.change.mutate({ list: "bold", add: ["203.0.113.1"], forMs: 1e16 });
  await expect(adding).rejects.toMatchObject({ data: { sluice: { code: "INVALID" } } });
});

test("what is no address is refused with what was written", async () => {
  await expect(
    world.client.lists.change.mutate({ list: "bold", add: ["203.0.113.1", "10.0.0.256", "example.org"] }),
  ).rejects.toMatchObject({
    data: { sluice: { code: "INVALID", problems: [{ found: "10.0.0.256" }, { found: "example.org" }] } },
  });
});

test("a list in use can't be removed; out of use it can, and its name be used again", async () => {
  await create("used");
  await world.client.lists.change.mutate({ list: "used", add: ["203.0.113.1"] });
  await world.apply(`${portPolicy("blocking", 80)}blocks: [ used ]\n`);
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "blocking" });
  await world.outcome("web-1", 1, "confirmed");
  await world.rolledOut(rollout);
  expect((await world.client.lists.ls.query()).find(({ list }) => list === "used")?.usedBy).toEqual([
    "blocking",
  ]);
  await expect(world.client.lists.rm.mutate({ list: "used" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("blocking") } },
  });
  const inRule = portPolicy("blocking", 80).replace(
    "--dport 80",
    "--dport 80 -m set --match-set list:used src",
  );
  await world.apply(inRule);
  const next = await world.client.rollouts.start.mutate({ policy: "blocking" });
  await world.outcome("web-1", 2, "confirmed");
  await world.rolledOut(next.rollout);
  await expect(world.client.lists.rm.mutate({ list: "used" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("blocking") } },
  });
  const off = await world.client.rollouts.start.mutate({ policy: "blocking", remove: true });
  await world.outcome("web-1", 3, "confirmed");
  await world.rolledOut(off.rollout);
  await world.client.lists.rm.mutate({ list: "used" });
  await create("used");
  const { rev } = await world.client.lists.change.mutate({ list: "used", add: ["203.0.113.2"] });
  expect([...(await heard("used", rev)).entries.keys()]).toEqual(["203.0.113.2"]);
});

test("changes of many at once are all there", async () => {
  await create("crowd");
  const all = Array.from({ length: 50 }, (_, i) => `203.0.113.${i}`);
  await Promise.all(all.map((entry) => world.client.lists.change.mutate({ list: "crowd", add: [entry] })));
  const { total, rev } = await world.client.lists.show.query({ list: "crowd" });
  expect([total, rev]).toEqual([50, 50]);
  expect((await heard("crowd", 50)).entries.size).toBe(50);
});
