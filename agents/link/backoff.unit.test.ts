import { expect, test } from "vitest";
import { createBackoff, jittered, reconnectWaitMs } from "./backoff.ts";

test("agents that lost the same thing at the same moment don't ask again at the same moment", () => {
  const fleet = Array.from({ length: 1000 }, () => jittered(1_000));
  expect(Math.min(...fleet)).toBeLessThan(600);
  expect(Math.max(...fleet)).toBeGreaterThan(1_400);
  expect(new Set(fleet).size).toBeGreaterThan(500);
});

test("each try waits longer than the one before, up to a bound, and after a success briefly again", () => {
  const backoff = createBackoff({ firstMs: 500, lastMs: 4_000 }, () => 0.5);
  expect(Array.from({ length: 5 }, () => backoff.nextMs())).toEqual([500, 1_000, 2_000, 4_000, 4_000]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(500);
});

test("the longer a broker has been away, the seldomer it is asked for; it is found again within a bound", () => {
  const waits = [0, 2_000, 60_000].map((awayMs) => reconnectWaitMs(awayMs, () => 0.5));
  expect(waits).toEqual([500, 2_000, 8_000]);
  expect(reconnectWaitMs(3_600_000, () => 1)).toBe(12_000);
});
