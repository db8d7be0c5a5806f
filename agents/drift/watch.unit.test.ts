import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Look, startWatch } from "./watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function given() {
  const looks: Look["why"][] = [];
  const ended = Promise.resolve(0);
  const watch = startWatch({
    at: {
      name: "test",
      run: async () => ({ code: 0, stdout: "", stderr: "", timedOut: false }),
      readNet: async () => false,
      spawn: () => ({
        ...{
          pid: 1,
          write: () => true,
          end: () => undefined,
          onLine: () => undefined,
          kill: () => undefined,
        },
        exited: ended,
      }),
      isOwnChild: () => false,
    },
    onLook: ({ why }) => looks.push(why),
    ...{ pollMs: 1_000, fullCheckMs: 1e9, random: () => 0.5, nowMs: () => Date.now(), log: () => undefined },
  });
  return { watch, looks };
}

test("after a write of ours what nobody tells of is looked at soon, then less and less often", async () => {
  const { watch, looks } = given();
  watch.wrote();
  const counts: number[] = [];
  for (const ms of [49, 1, 100, 200, 400, 249]) {
    await vi.advanceTimersByTimeAsync(ms);
    counts.push(looks.length);
  }
  expect(counts).toEqual([0, 1, 2, 3, 4, 4]);
  await watch.close();
});

test("without a write of ours it is looked at no more often than said", async () => {
  const { watch, looks } = given();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(looks).toHaveLength(5);
  await watch.close();
});
