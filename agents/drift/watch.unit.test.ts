import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Look, startWatch } from "./watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function given() {
  const looks: Look["why"][] = [];
  const lines: ((line: string) => void)[] = [];
  const watch = startWatch({
    at: {
      name: "test",
      run: async () => ({ code: 0, stdout: "", stderr: "", timedOut: false }),
      readNet: async () => false,
      spawn: () => {
        const { promise: exited, resolve } = Promise.withResolvers<number | null>();
        return {
          ...{ pid: 1, write: () => undefined, end: () => undefined, exited, kill: () => resolve(null) },
          onLine: (on: (stream: "stdout", line: string) => void) => lines.push((line) => on("stdout", line)),
        };
      },
      isOwnChild: () => false,
    },
    onLook: ({ why }) => looks.push(why),
    ...{ pollMs: 1_000, fullCheckMs: 1e9, random: () => 0.5, nowMs: () => Date.now(), log: () => undefined },
  });
  return { watch, looks, nftSays: (line: string) => lines[0]?.(line) };
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

test("once closed it looks at nothing more, though a look that was under way has written", async () => {
  const { watch, looks } = given();
  await watch.close();
  watch.wrote();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(looks).toEqual([]);
});

test("without a write of ours it is looked at no more often than said", async () => {
  const { watch, looks } = given();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(looks).toHaveLength(5);
  await watch.close();
});

test("what the kernel told and nobody read is looked for", async () => {
  const { watch, looks, nftSays } = given();
  nftSays("add rule ip filter INPUT drop");
  await vi.advanceTimersByTimeAsync(50);
  expect(looks).toEqual([]);
  nftSays("# ERROR: We lost some netlink events!");
  await vi.advanceTimersByTimeAsync(50);
  expect(looks).toEqual(["event"]);
  await watch.close();
});

test("who changed something last is known also to a look that was begun for another reason", async () => {
  const { watch, nftSays } = given();
  const sinceMs = Date.now();
  expect(watch.lastHeard(sinceMs)).toBeUndefined();
  nftSays("# new generation 7 by process 4711 (iptables-nft)");
  expect(watch.lastHeard(sinceMs)).toEqual({ pid: 4711, tool: "iptables-nft" });
  expect(watch.lastHeard(sinceMs + 1)).toBeUndefined();
  await watch.close();
});
