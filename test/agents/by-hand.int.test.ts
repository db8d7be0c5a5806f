import type { Agent } from "@sluice/agents/run/agent";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ConfirmReply } from "@sluice/proto/wire/envelope";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** A change that a person confirms, on the server's side. */
const DEADLINE_MS = 10_000;
const WAITS: ConfirmReply = { ok: false, waits: true, reason: "by hand" };

let server: TestServer;
let control: FakeControl;
let agent: Agent;
let before: string;
/** what control says after a change, the how-manieth time it is asked */
let answer: (time: number, generation: number) => ConfirmReply;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  agent = await startTestAgent(server, control);
  control.issue(firewall(), 1);
  await outcome(1);
  before = await server.dump();
  let times = 0;
  control.confirm = async ({ phase, generation }) => {
    if (phase === "preflight") return { ok: true };
    times += 1;
    return answer(times, generation);
  };
});
afterEach(async () => {
  await agent.close();
  await server.remove();
});

async function outcome(count: number) {
  await waitUntil(`outcome ${count}`, 60_000, () => control.outcomes().length >= count);
  await waitUntil("rest", 30_000, () => agent.status().state !== "applying");
  return control.outcomes()[count - 1];
}

function change(port: number, generation: number, byHandMs?: number): void {
  control.issue({ ...firewall({ port }), deadlineMs: DEADLINE_MS }, generation, 1, byHandMs);
}

function asks(generation: number): number {
  return control.confirms.filter((one) => one.phase === "confirm" && one.generation === generation).length;
}

test("it stays applied beyond its own deadline, is proven on over new connections, and kept on a yes", async () => {
  let isConfirmed = false;
  answer = () => (isConfirmed ? { ok: true } : WAITS);
  change(2222, 2, 600_000);
  await waitUntil("the first proof", 30_000, () => asks(2) > 0);
  const begunMs = performance.now();
  await waitUntil("its own deadline", 30_000, () => performance.now() > begunMs + DEADLINE_MS + 500);
  expect(asks(2)).toBeGreaterThan(1);
  expect(control.outcomes()).toHaveLength(1);
  expect(await server.sh("ip6tables -S SL-INPUT")).toContain("--dport 2222");
  isConfirmed = true;
  expect(await outcome(2)).toMatchObject({ generation: 2, result: "confirmed" });
  expect(agent.status()).toMatchObject({ holds: { generation: 2 } });
});

test("it is undone when nobody has confirmed it in time", async () => {
  answer = () => WAITS;
  change(2222, 2, 1_000);
  expect(await outcome(2)).toMatchObject({
    result: "reverted",
    refusal: { step: "confirm", reason: "nobody confirmed it by hand in time" },
  });
  expect(await server.dump()).toBe(before);
});

test("it is undone at once when its proof fails while it waits", async () => {
  answer = (time) => (time === 1 ? WAITS : { ok: false, reason: "not reached from outside" });
  change(2222, 2, 600_000);
  expect(await outcome(2)).toMatchObject({ result: "reverted", refusal: { step: "confirm" } });
  expect(await server.dump()).toBe(before);
});

test("newer generations that come while it waits take its place: it is undone, and the newest alone is applied", async () => {
  let newest = 2;
  answer = (_, generation) => {
    if (generation < newest) return { ok: false, reason: "superseded" };
    return generation === 2 ? WAITS : { ok: true };
  };
  change(2222, 2, 600_000);
  await waitUntil("the first proof", 30_000, () => asks(2) > 0);
  for (const generation of [3, 4, 5]) change(2220 + generation, generation);
  newest = 5;
  expect(await outcome(3)).toMatchObject({ generation: 5, result: "confirmed" });
  expect(control.outcomes().map(({ generation, result }) => `${generation} ${result}`)).toEqual([
    "1 confirmed",
    "2 reverted",
    "5 confirmed",
  ]);
  expect(await server.sh("iptables -S SL-INPUT")).toContain("--dport 2225");
});
