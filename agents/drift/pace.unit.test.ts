import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createPace, type DriftReport } from "./pace.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function given() {
  const sent: DriftReport[] = [];
  const pace = createPace({
    send: async (report) => void sent.push(report),
    ...{ burst: 2, everyMs: 1_000, nowMs: () => Date.now(), log: () => undefined },
  });
  return { sent, pace };
}

function drift(object: string, more: Partial<DriftReport> = {}): DriftReport {
  const differences = [{ driver: "iptables", object, kind: "changed" } as const];
  return { kind: "drift", generation: 1, action: "repaired", differences, ...more };
}

test("a few are told at once, a storm in one report a while that names every object", async () => {
  const { sent, pace } = given();
  for (const name of ["a", "b", "c", "d", "c"]) await pace.tell(drift(name, { by: { pid: name.length } }));
  expect(sent).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toHaveLength(3);
  expect(sent[2]?.differences.map(({ object }) => object)).toEqual(["c", "d"]);
  expect(sent[2]).toMatchObject({ reason: "3 times, told together", by: { pid: 1 } });
});

test("of what stays only the newest is told, and who did it only where it was one", async () => {
  const { sent, pace } = given();
  for (const name of ["a", "b"]) await pace.tell(drift(name));
  await pace.tell(drift("c", { by: { pid: 1 } }));
  await pace.tell(drift("d", { by: { pid: 2 } }));
  await pace.tell(drift("e", { action: "reported" }));
  await pace.tell(drift("f", { action: "reported" }));
  await pace.close();
  expect(sent.slice(2).map(({ action, differences }) => [action, differences.length])).toEqual([
    ["repaired", 2],
    ["reported", 1],
  ]);
  expect(sent[2]?.by).toBeUndefined();
  expect(sent[3]?.differences[0]?.object).toBe("f");
});

test("a thousand in ten seconds are twelve reports", async () => {
  const { sent, pace } = given();
  for (let n = 0; n < 1_000; n += 1) {
    await pace.tell(drift(`object ${n % 7}`));
    await vi.advanceTimersByTimeAsync(10);
  }
  await pace.close();
  expect(sent.length).toBeLessThanOrEqual(12);
});
