import type { Agent } from "@sluice/agents/run/agent";
import type { Intervals } from "@sluice/agents/run/intervals";
import { stateFolder } from "@sluice/agents/state/state-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { listSet } from "@sluice/proto/base/names";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { blocking, firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  await server.remove();
});

async function members(family: 4 | 6): Promise<string[]> {
  const listed = await server.sh(`ipset list ${listSet("bans", family)} | sed '1,/^Members:/d'`);
  return listed
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(" ")[0] ?? "")
    .sort();
}

async function holds(family: 4 | 6, entries: string[]): Promise<void> {
  await waitUntil(`${entries.join(" ")} in the kernel`, 30_000, async () => {
    return JSON.stringify(await members(family)) === JSON.stringify([...entries].sort());
  });
}

async function given(intervals: Partial<Intervals> = {}): Promise<void> {
  agent = await startTestAgent(server, control, { intervals: { pollMs: 200, ...intervals } });
  control.issue(blocking(), 1);
  await rest(1);
}

async function rest(outcomes: number): Promise<void> {
  await waitUntil("the outcome", 60_000, () => control.outcomes().length === outcomes);
  await waitUntil("rest", 30_000, () => agent?.status().state === "idle");
}

test("a list's members are there before the first rule that looks into it, and follow its deltas", async () => {
  control.list("bans", ["203.0.113.7", "198.51.100.0/24", "2001:db8:bad::/48"]);
  await given();
  expect(control.outcomes()[0]).toMatchObject({ result: "confirmed" });
  expect(await members(4)).toEqual(["198.51.100.0/24", "203.0.113.7"]);
  expect(await members(6)).toEqual(["2001:db8:bad::/48"]);
  control.list("bans", ["203.0.113.8"], ["203.0.113.7"]);
  await holds(4, ["198.51.100.0/24", "203.0.113.8"]);
  await waitUntil("the pulse", 30_000, () => agent?.status().lists.bans === 2);
  expect(control.drifts()).toEqual([]);
});

test("what a list would block of this server itself is left out and told", async () => {
  control.list("bans", ["192.0.2.10", "203.0.113.7", "2001:db8::/32"]);
  await given();
  expect(await members(4)).toEqual(["203.0.113.7"]);
  expect(await members(6)).toEqual([]);
});

test("an emptied list is drift, and filled again from what the agent holds", async () => {
  control.list("bans", ["203.0.113.7", "203.0.113.8"]);
  await given();
  await server.sh(`ipset flush ${listSet("bans", 4)}`);
  await waitUntil("the drift", 30_000, () => control.drifts().length > 0);
  expect(control.drifts()[0]).toMatchObject({
    action: "repaired",
    differences: [{ object: `set/${listSet("bans", 4)}` }],
  });
  await holds(4, ["203.0.113.7", "203.0.113.8"]);
});

test.each([
  ["an address put in by hand", "ipset add SET 198.51.100.99", ["198.51.100.99"]],
  [
    "one put in for one taken out",
    "printf 'del SET 203.0.113.7\\nadd SET 198.51.100.99\\n' | ipset -",
    ["198.51.100.99"],
  ],
  ["one that was given an end", "ipset add -exist SET 203.0.113.7 timeout 900", undefined],
])("%s is drift, and taken back", async (_, command, have) => {
  control.list("bans", ["203.0.113.7", "203.0.113.8"]);
  await given({ fullCheckMs: 300 });
  await server.sh(command.replaceAll("SET", listSet("bans", 4)));
  await waitUntil("the drift", 30_000, () => control.drifts().length > 0);
  expect(control.drifts()[0]).toMatchObject({
    action: "repaired",
    differences: [{ object: `set/${listSet("bans", 4)}`, kind: "changed", ...(have && { have }) }],
  });
  await holds(4, ["203.0.113.7", "203.0.113.8"]);
  expect(await server.sh(`ipset list ${listSet("bans", 4)}`)).not.toContain("timeout 8");
});

test("a ban that runs out and was taken out by hand is put in again", async () => {
  const until = new Date(Date.now() + 600_000).toISOString();
  control.list("bans", ["203.0.113.7"], [], until);
  await given();
  await server.sh(`ipset flush ${listSet("bans", 4)}`);
  await waitUntil("the drift", 30_000, () => control.drifts().length > 0);
  await holds(4, ["203.0.113.7"]);
});

test("looks for drift while deltas rain neither undo one nor tell of any", async () => {
  const many = Array.from({ length: 300 }, (_, n) => `100.64.${n >> 8}.${n & 255}`);
  control.list("bans", many);
  await given({ fullCheckMs: 20, pollMs: 20 });
  for (let round = 0; round < 150; round += 1) {
    const [from, to] = [`198.18.0.${round}`, many[round] ?? ""];
    control.list("bans", [from], [to]);
    if (round % 10 === 0)
      await waitUntil("the delta", 30_000, async () => agent?.status().lists.bans === round + 2);
  }
  await holds(4, [...many.slice(150), ...Array.from({ length: 150 }, (_, n) => `198.18.0.${n}`)]);
  await rest(1);
  expect(control.drifts()).toEqual([]);
});

test("a change that is undone doesn't take back what the list learned meanwhile", async () => {
  control.list("bans", ["203.0.113.7"]);
  await given();
  control.confirm = async ({ phase }) => {
    if (phase === "preflight") return { ok: true };
    control.list("bans", ["203.0.113.8"], ["203.0.113.7"]);
    return { ok: false, reason: "no" };
  };
  control.issue(blocking({ port: 2222 }), 2);
  await rest(2);
  expect(control.outcomes()[1]).toMatchObject({ result: "reverted" });
  await holds(4, ["203.0.113.8"]);
});

test("a list outgrows its set and is held whole", async () => {
  control.list("bans", ["203.0.113.7"]);
  await given();
  const many = Array.from({ length: 70_000 }, (_, n) => `100.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`);
  control.list("bans", many);
  await waitUntil("all of them", 30_000, async () =>
    (await server.sh(`ipset list -t ${listSet("bans", 4)}`)).includes("Number of entries: 70001"),
  );
});

test("the undo and the boot make a list's set with room for what the list holds", async () => {
  const many = Array.from({ length: 40_000 }, (_, n) => `100.64.${n >> 8}.${n & 255}`);
  control.list("bans", many);
  await given();
  const asMade = `${listSet("bans", 4)} hash:net family inet timeout 0 maxelem 131072 hashsize 32768\n`;
  expect(await server.sh(`cat ${server.folder}/state/held/sets.create`)).toContain(asMade);
  let undo = "";
  control.confirm = async ({ phase }) => {
    if (phase === "preflight") return { ok: true };
    // the change is applied: what its undo finds gone it makes anew
    undo = await server.sh(`cat ${server.folder}/state/undo/sets.create`);
    await server.sh(`nft flush ruleset; ipset destroy ${listSet("bans", 4)}`);
    return { ok: false, reason: "no" };
  };
  control.issue(blocking({ port: 2222 }), 2);
  await rest(2);
  expect(control.outcomes()[1]).toMatchObject({ result: "reverted" });
  expect(undo).toContain(asMade);
  await waitUntil("all of them", 60_000, async () =>
    (await server.sh(`ipset list -t ${listSet("bans", 4)}`)).includes("Number of entries: 40000"),
  );
  expect(await server.sh(`ipset list -t ${listSet("bans", 4)}`)).toMatch(/hashsize 32768 .*maxelem 131072/);
});

/** What the kernel says is left of an address's ban, in seconds. */
async function secondsLeft(address: string): Promise<number> {
  const listed = await server.sh(`ipset list ${listSet("bans", 4)}`);
  return Number(new RegExp(`^${address} timeout (\\d+)$`, "m").exec(listed)?.[1]);
}

test("a ban keeps what is left of its time over a swap, a restart of the agent, and a boot", async () => {
  const untilMs = Date.now() + 300_000;
  /** the kernel counts from when it was told: a line waits while a busy machine starts the tool that reads it */
  const toldLateS = 2;
  const isAsMuchAsIsLeft = async () => {
    const before = Math.ceil((untilMs - Date.now()) / 1000);
    const seconds = await secondsLeft("203.0.113.7");
    return seconds <= before + toldLateS && seconds >= Math.floor((untilMs - Date.now()) / 1000) - 1;
  };
  control.list("bans", ["203.0.113.7"], [], new Date(untilMs).toISOString());
  await given();
  expect(await isAsMuchAsIsLeft()).toBe(true);
  const room = async () =>
    Number(/maxelem (\d+)/.exec(await server.sh(`ipset list -t ${listSet("bans", 4)}`))?.[1]);
  const before = await room();
  const many = Array.from({ length: 50_000 }, (_, n) => `100.64.${n >> 8}.${n & 255}`);
  control.list("bans", many);
  await waitUntil("a set with more room", 30_000, async () => (await room()) > before);
  await waitUntil("the ban, as long as before", 10_000, isAsMuchAsIsLeft);
  await waitUntil("how full it is", 60_000, () => agent?.status().fill?.bans?.room === 131_072);
  expect(agent?.status().fill?.bans?.entries).toBe(50_001);

  await agent?.close();
  expect(await isAsMuchAsIsLeft()).toBe(true);
  await server.sh("nft flush ruleset; ipset -X");
  const { applied } = stateFolder(`${server.folder}/state`);
  const stored = await applied.read();
  if (stored.kind !== "value") throw new Error("nothing is held");
  await applied.write({ ...stored.value, boot: "another-boot" });
  agent = await startTestAgent(server, { connect: () => new Promise(() => undefined) });
  await waitUntil("the ban after a boot", 30_000, isAsMuchAsIsLeft);
});

test("when no manifest uses a list any more, its sets go", async () => {
  control.list("bans", ["203.0.113.7"]);
  await given();
  control.issue(firewall(), 2);
  await rest(2);
  expect(await server.sh("ipset list -n")).not.toContain("sl-l-bans");
});

test("an agent without NATS fills its lists from its own disk", async () => {
  control.list("bans", ["203.0.113.7"]);
  await given();
  await agent?.close();
  await server.sh(`ipset flush ${listSet("bans", 4)}`);
  agent = await startTestAgent(server, { connect: () => new Promise(() => undefined) });
  await holds(4, ["203.0.113.7"]);
});
