import { cpSync, renameSync, rmSync } from "node:fs";
import type { Agent } from "@sluice/agents/run/agent";
import { askLocally } from "@sluice/agents/run/local-socket";
import { undoFolder } from "@sluice/agents/undo/undo-folder";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { OutcomeResult } from "@sluice/proto/wire/report";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestAgent } from "./agent.ts";
import type { ChildOptions } from "./agent-child.ts";
import { type AgentChild, startAgentChild } from "./child.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** The agent as a process of its own, killed while control says nothing. At every step: killed-at-every-step. */
const DEADLINE_MS = 4_000;
/** what the undo itself may take on a busy machine */
const UNDO_MS = 30_000;

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
  await waitUntil("the runner's end", 30_000, () => folder.runner() === undefined);
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
  await waitUntil("generation 1", 30_000, () => control.outcomes().length === 1);
  await waitUntil("rest", 30_000, () => first.status().state === "idle");
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
  const undo = undoFolder(`${server.folder}/state/undo`);
  await waitUntil("the undo", DEADLINE_MS + UNDO_MS, () => undo.outcome() === "reverted");
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
  await waitUntil("the next thing it does", 30_000, () =>
    control.reports.some(({ kind }) => kind === "plan"),
  );
  expect(control.outcomes()).toHaveLength(2);
});

test("a second agent on the same state folder is refused while the first one lives", async () => {
  const both = [startChild(), startChild()];
  await waitUntil("one of them ends", 30_000, () => both.some(({ child }) => !child.isRunning()));
  const [first] = both.filter(({ child }) => child.isRunning());
  expect(first).toBeDefined();
  first?.child.signal("SIGKILL");
  await first?.child.exited;
  const third = startChild({ manifests: [firewall()] });
  await third.reached("step confirm");
});

test("an agent that dies as it tells an outcome tells it at its next start, of a change that wrote nothing too", async () => {
  await givenFirstGeneration();
  await diesAsItTells("confirmed", async () => {
    control.issue({ ...firewall(), deadlineMs: 20_000 }, 2);
  });
  expect(await nextOutcome(2)).toMatchObject({ generation: 2, result: "confirmed" });
  expect(agent?.status()).toMatchObject({ holds: { generation: 2 } });
});

test("an agent that dies as it tells of a revert on the server tells it at its next start, and stays where it went back to", async () => {
  const before = await givenFirstGeneration();
  await diesAsItTells("reverted", async () => {
    control.issue({ ...SECOND, deadlineMs: 20_000 }, 2);
    await nextOutcome(2);
    await askLocally(`${server.folder}/state/agent.sock`, { what: "revert", by: "root" });
  });
  expect(await nextOutcome(3)).toMatchObject({ generation: 2, result: "reverted" });
  expect(agent?.status()).toMatchObject({ holds: { generation: 1 } });
  control.plan("after", firewall());
  await waitUntil("the next thing it does", 30_000, () =>
    control.reports.some(({ kind }) => kind === "plan"),
  );
  expect(control.outcomes()).toHaveLength(3);
  expect(await server.dump()).toBe(before);
});

/** What an agent does after it told of generation 2 never was: another one starts from what was on the disk by then. */
async function diesAsItTells(result: OutcomeResult, work: () => Promise<void>): Promise<void> {
  const [state, kept] = [`${server.folder}/state`, `${server.folder}/kept`];
  const died = Promise.withResolvers<void>();
  const first = await startTestAgent(server, {
    async connect(handlers) {
      const link = await control.connect(handlers);
      return {
        ...link,
        async report(body) {
          if (body.kind !== "outcome" || body.generation !== 2 || body.result !== result)
            return await link.report(body);
          cpSync(state, kept, { recursive: true, filter: (path) => !path.endsWith(".sock") });
          died.resolve();
        },
      };
    },
  });
  await work();
  await died.promise;
  await first.close();
  rmSync(state, { recursive: true });
  renameSync(kept, state);
  agent = await startTestAgent(server, control);
}

async function nextOutcome(count: number) {
  await waitUntil(`outcome ${count}`, 60_000, () => control.outcomes().length >= count);
  return control.outcomes()[count - 1];
}
