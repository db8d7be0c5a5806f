import type { Agent } from "@sluice/agents/run/agent";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import type { ChildOptions } from "./agent-child.ts";
import { type AgentChild, startAgentChild } from "./child.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** The agent as a process of its own, killed while control says nothing. At every step: killed-at-every-step. */
const DEADLINE_MS = 2_000;

let server: TestServer;
let control: FakeControl;
let children: AgentChild[] = [];
let agent: Agent | undefined;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  for (const { child } of children) await child.stop("SIGKILL");
  children = [];
  const folder = undoFolder(`${server.folder}/state/undo`);
  if (folder.runner() !== undefined) await folder.order(0, "spare");
  await waitUntil("the runner's end", 10_000, () => folder.runner() === undefined);
  await server.remove();
});

function startChild(options: Omit<ChildOptions, "folder"> = {}): AgentChild {
  const child = startAgentChild(server, options);
  children.push(child);
  return child;
}

/** A server that holds generation 1, and how it looks. */
async function givenFirstGeneration(): Promise<string> {
  const first = await startTestAgent(server, control);
  control.issue(firewall(), 1);
  await waitUntil("generation 1", 10_000, () => control.outcomes().length === 1);
  await waitUntil("rest", 10_000, () => first.status().state === "idle");
  await first.close();
  return await server.dump();
}

const SECOND = {
  ...firewall({ port: 2222, rate: "5mbit", office: ["203.0.113.0/24"] }),
  deadlineMs: DEADLINE_MS,
};

test("an agent killed right after it applied: the server undoes the change by its deadline, and the next start tells", async () => {
  const before = await givenFirstGeneration();
  const { child, reached } = startChild({ manifests: [SECOND], generation: 2 });
  await reached("step confirm");
  expect(await server.dump()).not.toBe(before);
  child.signal("SIGKILL");
  const killedMs = performance.now();
  const undo = undoFolder(`${server.folder}/state/undo`);
  await waitUntil("the undo", 10_000, () => undo.outcome() === "reverted");
  expect(performance.now() - killedMs).toBeLessThan(DEADLINE_MS + 1_500);
  expect(await server.dump()).toBe(before);

  agent = await startTestAgent(server, control);
  expect(control.outcomes().at(-1) ?? (await nextOutcome(2))).toMatchObject({
    generation: 2,
    result: "reverted",
    refusal: { step: "deadline" },
  });
  expect(agent.status()).toMatchObject({ holds: { generation: 1 } });
});

test("an agent that starts again within the deadline undoes at once, and doesn't try the same again", async () => {
  const before = await givenFirstGeneration();
  const { child, reached } = startChild({
    manifests: [{ ...SECOND, deadlineMs: 60_000 }],
    generation: 2,
  });
  await reached("step confirm");
  child.signal("SIGKILL");
  await child.exited;
  agent = await startTestAgent(server, control);
  expect(await server.dump()).toBe(before);
  await nextOutcome(2);
  expect(control.outcomes()[1]).toMatchObject({ generation: 2, result: "reverted" });
  control.issue({ ...SECOND, deadlineMs: 60_000 }, 2);
  control.plan("after", firewall());
  await waitUntil("the next thing it does", 10_000, () =>
    control.reports.some(({ kind }) => kind === "plan"),
  );
  expect(control.outcomes()).toHaveLength(2);
});

test("a second agent on the same state folder is refused while the first one lives", async () => {
  const both = [startChild(), startChild()];
  await waitUntil("one of them ends", 10_000, () => both.some(({ child }) => !child.isRunning()));
  const [first] = both.filter(({ child }) => child.isRunning());
  expect(first).toBeDefined();
  first?.child.signal("SIGKILL");
  await first?.child.exited;
  const third = startChild({ manifests: [firewall()] });
  await third.reached("step confirm");
});

async function nextOutcome(count: number) {
  await waitUntil(`outcome ${count}`, 15_000, () => control.outcomes().length >= count);
  return control.outcomes()[count - 1];
}
