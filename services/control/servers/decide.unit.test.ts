import type { SluiceEvent } from "@sluice/proto/events/event";
import { expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { decideDrift } from "../drift/decide.ts";
import { decideAdd, decideEnrol, decideLabel, decidePause, decideUninstalled } from "./decide.ts";
import { serverEntity } from "./state.ts";
import { isTargeted } from "./targeted.ts";

const ADDED: SluiceEvent = {
  type: "ServerAdded",
  data: { server: "s1", labels: { role: "web", site: "a" }, tokenHash: "h" },
};
const KEYS = { publicKey: "k", natsKey: "n" };
const ENROLLED: SluiceEvent = { type: "ServerEnrolled", data: { server: "s1", ...KEYS } };

test("a name is added once; again only when said so, with its labels and without its agent", () => {
  const state = given(serverEntity, [ADDED, ENROLLED]);
  const command = { server: "s1", labels: { site: "b" }, tokenHash: "h2" };
  expect(() => decideAdd(state, { ...command, again: false })).toThrow("already");
  const events = decideAdd(state, { ...command, again: true });
  const after = given(serverEntity, [ADDED, ENROLLED, ...events]);
  expect(after).toMatchObject({ labels: { role: "web", site: "b" }, tokenHash: "h2", enrolled: undefined });
});

test("a token is good for one agent", () => {
  expect(decideEnrol(given(serverEntity, [ADDED]), KEYS)).toEqual([ENROLLED]);
  const enrolled = given(serverEntity, [ADDED, ENROLLED]);
  expect(decideEnrol(enrolled, KEYS)).toEqual([]);
  expect(() => decideEnrol(enrolled, { ...KEYS, publicKey: "other" })).toThrow("another agent");
});

const DECIDED = {
  ...{ server: "s1", epoch: 1, generation: 1, manifest: "m1", factsDigest: "f" },
  ...{ assigned: [{ policy: "a", revision: 1 }], rollout: "r-1", cause: "rollout" as const },
};
const HELD: SluiceEvent[] = [
  ...[ADDED, ENROLLED, { type: "AssignmentDecided", data: DECIDED } as const],
  { type: "ServerConfirmed", data: { server: "s1", generation: 1, manifest: "m1" } },
];
const GONE = {
  ...{ at: "2026-01-01T00:00:00.000Z", by: "ann", epoch: 1 },
  empty: { manifest: "nothing", factsDigest: "" },
};

test("who was uninstalled is assigned nothing, and holds that; told twice, it is recorded once", () => {
  const events = decideUninstalled(given(serverEntity, HELD), GONE);
  expect(events).toMatchObject([
    { type: "ServerUninstalled", data: { at: GONE.at, by: "ann" } },
    { type: "AssignmentDecided", data: { generation: 2, assigned: [], manifest: "nothing" } },
    { type: "ServerConfirmed", data: { generation: 2 } },
  ]);
  const state = given(serverEntity, [...HELD, ...events]);
  expect(state).toMatchObject({
    uninstalled: true,
    held: { generation: 2 },
    heldBefore: undefined,
    open: [],
  });
  expect(decideUninstalled(state, GONE)).toEqual([]);
  const enrolled = given(serverEntity, [...HELD, ...events, ENROLLED]);
  expect(decideUninstalled(enrolled, GONE)).toMatchObject([{ type: "ServerUninstalled" }]);
});

test("a change that was under way is undone by an uninstall, for the rollout it belongs to", () => {
  const state = given(serverEntity, HELD.slice(0, 3));
  expect(decideUninstalled(state, GONE)).toMatchObject([
    { type: "ServerReverted", data: { generation: 1, rollout: "r-1", refusal: { step: "confirm" } } },
    { type: "ServerUninstalled" },
    { type: "AssignmentDecided", data: { generation: 2, assigned: [] } },
    { type: "ServerConfirmed", data: { generation: 2 } },
  ]);
});

test("only labels that change are recorded", () => {
  const state = given(serverEntity, [ADDED]);
  expect(decideLabel(state, { set: { role: "web" }, unset: ["none"] })).toEqual([]);
  expect(decideLabel(state, { set: { role: "db" }, unset: ["site"] })).toEqual([
    { type: "ServerLabelled", data: { server: "s1", set: { role: "db" }, unset: ["site"] } },
  ]);
});

test("a pause that goes on is one pause", () => {
  const until = "2026-01-01T00:00:00.000Z";
  const paused = given(serverEntity, [ADDED, ...decidePause(given(serverEntity, [ADDED]), until)]);
  expect(decidePause(paused, until)).toEqual([]);
  expect(decidePause(paused, undefined)).toMatchObject([{ type: "ServerResumed" }]);
  expect(decidePause(given(serverEntity, [ADDED]), undefined)).toEqual([]);
});

test("the same drift within ten seconds is one event; another, or later, is a second", () => {
  const drift = {
    generation: 1,
    differences: [{ driver: "tc" as const, object: "eth0/class/1:10", kind: "missing" as const }],
    action: "reported" as const,
  };
  const first = decideDrift(given(serverEntity, [ADDED]), drift, 0);
  const state = given(serverEntity, [ADDED, ...first]); // stored at second 1
  expect(decideDrift(state, drift, 10_999)).toEqual([]);
  expect(decideDrift(state, drift, 11_000)).toHaveLength(1);
  expect(decideDrift(state, { ...drift, action: "repaired" }, 2_000)).toHaveLength(1);
  expect(decideDrift(state, { ...drift, differences: [] }, 2_000)).toHaveLength(1);
});

test("a policy is meant for servers it names, and for those with all of its labels", () => {
  const server = { server: "s1", labels: { role: "web", site: "a" } };
  const targets = (servers: string[], labels: Record<string, string>) =>
    isTargeted({ servers, labels }, server);
  expect(targets(["s1"], {})).toBe(true);
  expect(targets(["*"], {})).toBe(true);
  expect(targets([], { role: "web", site: "a" })).toBe(true);
  expect(targets(["s2"], { role: "web", site: "b" })).toBe(false);
  expect(targets([], {})).toBe(false);
});

test("who is told to hold nothing, and undid even that, isn't said to have confirmed it by an uninstall", () => {
  const undone: SluiceEvent[] = [
    ...[ADDED, ENROLLED],
    {
      type: "AssignmentDecided",
      data: { ...DECIDED, assigned: [], manifest: GONE.empty.manifest, rollout: undefined },
    },
    {
      type: "ServerReverted",
      data: {
        server: "s1",
        generation: 1,
        manifest: GONE.empty.manifest,
        refusal: { step: "confirm", reason: "r" },
      },
    },
  ];
  expect(decideUninstalled(given(serverEntity, undone), GONE)).toMatchObject([{ type: "ServerUninstalled" }]);
});
