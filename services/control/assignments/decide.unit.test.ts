import type { SluiceEvent } from "@sluice/proto/events/event";
import { describe, expect, test } from "vitest";
import { given } from "../context/entity.ts";
import { serverEntity } from "../servers/state.ts";
import { decideAnew, decideAssignment, decideOutcome, decideRevert, withPolicy } from "./decide.ts";

const EMPTY = { manifest: "nothing", factsDigest: "" };
const REFUSAL = { step: "rehearse" as const, reason: "no such match" };

function decided(generation: number, revision: number, more: { rollout?: string } = {}): SluiceEvent {
  const data = { server: "s1", epoch: 1, generation, manifest: `m${revision}`, factsDigest: "f" };
  const assigned = [{ policy: "a", revision }];
  return { type: "AssignmentDecided", data: { ...data, assigned, cause: "rollout", ...more } };
}

function confirmed(generation: number, revision: number): SluiceEvent {
  return { type: "ServerConfirmed", data: { server: "s1", generation, manifest: `m${revision}` } };
}

function refused(generation: number, revision: number): SluiceEvent {
  const data = { server: "s1", generation, manifest: `m${revision}`, refusal: REFUSAL };
  return { type: "ServerRefused", data };
}

const ADDED: SluiceEvent = { type: "ServerAdded", data: { server: "s1", labels: {}, tokenHash: "h" } };

function wanted(revision: number) {
  const assigned = [{ policy: "a", revision }];
  return { assigned, manifest: `m${revision}`, factsDigest: "f", epoch: 1, cause: "rollout" as const };
}

test("generations are counted from 1 and have no gap", () => {
  const fresh = given(serverEntity, [ADDED]);
  expect(decideAssignment(fresh, wanted(1))).toMatchObject([{ data: { generation: 1 } }]);
  const second = given(serverEntity, [ADDED, decided(1, 1), confirmed(1, 1)]);
  expect(decideAssignment(second, wanted(2))).toMatchObject([{ data: { generation: 2 } }]);
});

test("what a server is to hold already is not decided again", () => {
  const state = given(serverEntity, [ADDED, decided(1, 1)]);
  expect(decideAssignment(state, wanted(1))).toEqual([]);
});

test("after a refusal the last confirmed content is the next generation, under no rollout", () => {
  const state = given(serverEntity, [
    ADDED,
    decided(1, 1),
    confirmed(1, 1),
    decided(2, 2, { rollout: "r-1" }),
    refused(2, 2),
  ]);
  const [event] = decideRevert(state, { failed: 2, epoch: 1, empty: EMPTY });
  expect(event).toMatchObject({
    data: { generation: 3, manifest: "m1", assigned: [{ policy: "a", revision: 1 }], cause: "revert" },
  });
  expect(event?.data).not.toHaveProperty("rollout");
});

test("a server that never held anything is assigned nothing after its first refusal", () => {
  const state = given(serverEntity, [ADDED, decided(1, 1), refused(1, 1)]);
  expect(decideRevert(state, { failed: 1, epoch: 1, empty: EMPTY })).toMatchObject([
    { data: { generation: 2, manifest: "nothing", assigned: [] } },
  ]);
});

test("a generation that was superseded is not reverted", () => {
  const state = given(serverEntity, [ADDED, decided(1, 1), decided(2, 2), refused(1, 1)]);
  expect(decideRevert(state, { failed: 1, epoch: 1, empty: EMPTY })).toEqual([]);
});

test("content that fails although it is said to be held is not tried for ever", () => {
  const state = given(serverEntity, [
    ADDED,
    decided(1, 1),
    confirmed(1, 1),
    decided(2, 1, { rollout: "r" }),
    refused(2, 1),
  ]);
  expect(decideRevert(state, { failed: 2, epoch: 1, empty: EMPTY })).toEqual([]);
});

test("the first outcome of a generation counts, another one is nothing", () => {
  const outcome = { epoch: 1, generation: 1, digest: "m1", result: "confirmed" as const };
  const open = given(serverEntity, [ADDED, decided(1, 1, { rollout: "r-1" })]);
  expect(decideOutcome(open, outcome)).toEqual([
    { type: "ServerConfirmed", data: { server: "s1", generation: 1, manifest: "m1", rollout: "r-1" } },
  ]);
  const done = given(serverEntity, [ADDED, decided(1, 1), confirmed(1, 1)]);
  expect(decideOutcome(done, { ...outcome, result: "refused" })).toEqual([]);
  expect(decideOutcome(done, outcome)).toEqual([]);
});

test("what was confirmed may be reverted on the server itself: recorded once, and what it held before is assigned", () => {
  const history = [ADDED, decided(1, 1), confirmed(1, 1), decided(2, 2), confirmed(2, 2)];
  const outcome = { epoch: 1, generation: 2, digest: "m2", result: "reverted" as const, refusal: REFUSAL };
  const events = decideOutcome(given(serverEntity, history), outcome);
  expect(events).toMatchObject([{ type: "ServerReverted", data: { generation: 2 } }]);
  const state = given(serverEntity, [...history, ...events]);
  expect(state.held?.generation).toBe(1);
  expect(decideRevert(state, { failed: 2, epoch: 1, empty: EMPTY })).toMatchObject([
    { data: { generation: 3, manifest: "m1", cause: "revert" } },
  ]);
  expect(decideOutcome(state, outcome)).toEqual([]);
});

test("an outcome of another epoch or manifest is recorded as rejected, and changes nothing", () => {
  const state = given(serverEntity, [ADDED, decided(1, 1)]);
  const outcome = { epoch: 1, generation: 1, digest: "m1", result: "confirmed" as const };
  for (const wrong of [
    { ...outcome, epoch: 2 },
    { ...outcome, digest: "m9" },
  ]) {
    const events = decideOutcome(state, wrong);
    expect(events).toMatchObject([{ type: "MessageRejected" }]);
    expect(given(serverEntity, [ADDED, decided(1, 1), ...events]).held).toBeUndefined();
  }
});

test("who holds a generation has left those before it behind", () => {
  const state = given(serverEntity, [ADDED, decided(1, 1), decided(2, 2), confirmed(2, 2)]);
  expect(state.open).toEqual([]);
  expect(state.held?.generation).toBe(2);
});

describe("made anew after facts or labels changed", () => {
  const told = [ADDED, decided(1, 1, { rollout: "r-1" })];
  const { cause: _, ...same } = wanted(1);
  const other = { ...same, manifest: "m1 on other facts", factsDigest: "g" };
  const afterFacts = { after: "facts", hadItsTime: false } as const;
  const afterOutcome = { after: "outcome", hadItsTime: false } as const;
  const anew = (history: readonly SluiceEvent[], made: Parameters<typeof decideAnew>[1]) =>
    decideAnew(given(serverEntity, history), made);

  test("a generation that is under way is not superseded: what is made anew waits for its outcome", () => {
    expect(anew(told, { ...other, ...afterFacts })).toEqual({ kind: "waits", generation: 1 });
  });

  test.each([
    ["confirmed", [...told, confirmed(1, 1)]],
    ["refused", [...told, refused(1, 1)]],
  ])("once it is %s it is decided, under no rollout", (_, history) => {
    const { events } = { events: [], ...anew(history, { ...other, ...afterOutcome }) };
    expect(events).toMatchObject([{ data: { generation: 2, manifest: other.manifest, cause: "facts" } }]);
    expect(events[0]?.data).not.toHaveProperty("rollout");
  });

  test("labels are named as its cause where the facts are the same", () => {
    const made = { ...other, factsDigest: "f", ...afterOutcome };
    expect(anew([...told, confirmed(1, 1)], made)).toMatchObject({ events: [{ data: { cause: "labels" } }] });
  });

  test("where the manifest comes out the same nothing waits", () => {
    expect(anew(told, { ...same, ...afterFacts })).toEqual({ kind: "decided", events: [] });
  });

  test("a server that had its time is not waited for; what it is told goes on under the rollout", () => {
    expect(anew(told, { ...other, ...afterFacts, hadItsTime: true })).toMatchObject({
      events: [{ data: { generation: 2, rollout: "r-1" } }],
    });
  });

  test("what failed is not tried again after the way back from it, for ever; after new facts it is", () => {
    const event = { type: "AssignmentDecided", data: { server: "s1", generation: 2, ...other } } as const;
    const failed = { server: "s1", generation: 2, manifest: other.manifest, refusal: REFUSAL };
    const history: SluiceEvent[] = [
      ...told,
      confirmed(1, 1),
      { ...event, data: { ...event.data, cause: "facts" } },
      { type: "ServerRefused", data: failed },
      decided(3, 1),
      confirmed(3, 1),
    ];
    expect(anew(history, { ...other, ...afterOutcome })).toEqual({ kind: "decided", events: [] });
    expect(anew(history, { ...other, ...afterFacts })).toMatchObject({
      events: [{ data: { generation: 4 } }],
    });
  });
});

test("one policy moves, the others stay, sorted by name", () => {
  const assigned = [
    { policy: "a", revision: 1 },
    { policy: "c", revision: 5 },
  ];
  const state = given(serverEntity, [
    ADDED,
    {
      type: "AssignmentDecided",
      data: { ...wanted(1), assigned, server: "s1", generation: 1 },
    },
  ]);
  expect(withPolicy(state, "b", 2).map(({ policy }) => policy)).toEqual(["a", "b", "c"]);
  expect(withPolicy(state, "c", 4)).toContainEqual({ policy: "c", revision: 4 });
  expect(withPolicy(state, "a", 0)).toEqual([{ policy: "c", revision: 5 }]);
});
