import { expect, test } from "vitest";
import { openDeadline } from "./deadline.ts";

const GIVEN_MS = 10_000;

/** The time passes when the test says so; `due` is what the runner was told last, in the same time. */
async function given() {
  const at = { nowMs: 0, dueMs: 0 };
  const order = async (dueMs: number) => {
    at.dueMs = dueMs;
  };
  const clock = { nowMs: () => at.nowMs, uptimeMs: () => at.nowMs, wall: () => new Date(0) };
  const undo = { folder: { order } };
  const deadline = await openDeadline({ clock, undo }, GIVEN_MS);
  return { at, deadline };
}

test("the agent gives up before the runner acts", async () => {
  const { at, deadline } = await given();
  expect(at.dueMs).toBe(GIVEN_MS);
  expect(deadline.untilMs()).toBeLessThan(GIVEN_MS);
});

test("what verifying takes doesn't count; while it goes on, the runner waits no longer than the whole time once more", async () => {
  const { at, deadline } = await given();
  at.nowMs = 4_000;
  await deadline.aside(async () => {
    expect(at.dueMs).toBe(2 * GIVEN_MS);
    at.nowMs += 3_000;
  });
  expect(at.dueMs).toBe(GIVEN_MS + 3_000);
  await deadline.aside(async () => {
    at.nowMs += 3 * GIVEN_MS;
  });
  expect(at.dueMs).toBe(2 * GIVEN_MS + 3_000);
});

test("restarted, it is counted from now on", async () => {
  const { at, deadline } = await given();
  at.nowMs = 9_000;
  await deadline.restart(60_000);
  expect(at.dueMs).toBe(69_000);
});
