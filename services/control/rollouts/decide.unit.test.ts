import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import { expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { decideStart, decideStep, nextStep, type Progress, rolloutEntity } from "./decide.ts";

const STARTED: EventData<"RolloutStarted"> = {
  ...{ rollout: "r-1", kind: "rollout", policy: "a", revision: 2 },
  waves: [["s1", "s2"], ["s3"]],
  before: { s1: 1, s2: 1, s3: 0 },
};

const start: SluiceEvent = { type: "RolloutStarted", data: STARTED };

function wave(number: number): SluiceEvent {
  const servers = STARTED.waves[number - 1] ?? [];
  return { type: "WaveStarted", data: { rollout: "r-1", wave: number, servers } };
}

function progress(server: string, more: Partial<Progress> = {}): Progress {
  return { server, told: true, overdue: false, ...more };
}

const confirmed = (server: string) => progress(server, { outcome: "confirmed" });

test("the first wave begins at once", () => {
  const step = nextStep(given(rolloutEntity, [start]), [], false);
  expect(step).toEqual({ kind: "begin", wave: 1, servers: ["s1", "s2"] });
});

test("who isn't told yet is told, also when it was cut short", () => {
  const state = given(rolloutEntity, [start, wave(1)]);
  const step = nextStep(state, [progress("s1"), progress("s2", { told: false })], false);
  expect(step).toEqual({ kind: "tell", servers: ["s2"] });
});

test("a wave waits for its last server", () => {
  const state = given(rolloutEntity, [start, wave(1)]);
  expect(nextStep(state, [confirmed("s1"), progress("s2")], false)).toEqual({ kind: "wait" });
  const step = nextStep(state, [confirmed("s1"), confirmed("s2")], false);
  expect(step).toMatchObject({ kind: "begin", wave: 2 });
});

test("after the last wave it is completed", () => {
  const state = given(rolloutEntity, [start, wave(1), wave(2)]);
  expect(nextStep(state, [confirmed("s3")], false)).toMatchObject({
    event: { type: "RolloutCompleted" },
  });
});

test.each(["refused", "reverted"] as const)("the first that %s halts it, with its own words", (outcome) => {
  const state = given(rolloutEntity, [start, wave(1)]);
  const failed = progress("s2", { outcome, because: "port 22 is shut" });
  expect(nextStep(state, [progress("s1"), failed], false)).toMatchObject({
    event: {
      type: "RolloutHalted",
      data: { server: "s2", reason: expect.stringContaining("port 22 is shut") },
    },
  });
});

test("a server past its time halts it; one that confirmed late doesn't", () => {
  const state = given(rolloutEntity, [start, wave(1)]);
  const late = progress("s2", { overdue: true });
  expect(nextStep(state, [confirmed("s1"), late], false)).toMatchObject({
    event: { type: "RolloutHalted", data: { server: "s2" } },
  });
  const step = nextStep(state, [confirmed("s1"), { ...late, outcome: "confirmed" }], false);
  expect(step).toMatchObject({ kind: "begin" });
});

test("a frozen fleet lets a wave end and no other begin", () => {
  const state = given(rolloutEntity, [start, wave(1)]);
  expect(nextStep(state, [confirmed("s1"), progress("s2")], true)).toEqual({ kind: "wait" });
  expect(nextStep(state, [confirmed("s1"), confirmed("s2")], true)).toMatchObject({
    event: { type: "RolloutHalted", data: { reason: "the fleet is frozen" } },
  });
});

test("once ended it makes no step", () => {
  const halt: SluiceEvent = { type: "RolloutHalted", data: { rollout: "r-1", reason: "x" } };
  const state = given(rolloutEntity, [start, wave(1), halt]);
  expect(nextStep(state, [confirmed("s1"), confirmed("s2")], false)).toEqual({ kind: "none" });
  expect(nextStep(rolloutEntity.initial, [], false)).toEqual({ kind: "none" });
});

test("a step that another has made meanwhile is not made twice", () => {
  const seen = given(rolloutEntity, [start]);
  const now = given(rolloutEntity, [start, wave(1)]);
  expect(decideStep(now, seen, wave(1))).toEqual([]);
  expect(decideStep(seen, seen, wave(1))).toEqual([wave(1)]);
});

test("a rollout starts once", () => {
  expect(decideStart(rolloutEntity.initial, STARTED)).toEqual([start]);
  expect(() => decideStart(given(rolloutEntity, [start]), STARTED)).toThrow("already");
});
