import { expect, test } from "vitest";
import { quantile, ratio, row } from "./figures.ts";

test("a row tells the middle of its samples, not their mean", () => {
  expect(row("one", "ms", [3, 1, 100])).toEqual({ label: "one", unit: "ms", min: 1, median: 3, max: 100 });
  expect(row("one", "ms", [1, 2]).median).toBe(1.5);
});

test("a ratio is the middle of the pairs' ratios: a slow minute that slows both sides doesn't show", () => {
  expect(ratio("both slow once", [10, 1000, 10], [5, 500, 5])).toMatchObject({ value: 2, min: 2, max: 2 });
});

test("an aim is met or missed in the direction that it names", () => {
  expect(ratio("cost", [3], [2], { atMost: 1.5 }).met).toBe(true);
  expect(ratio("cost", [4], [2], { atMost: 1.5 }).met).toBe(false);
  expect(ratio("rate", [4], [2], { atLeast: 1.5 }).met).toBe(true);
  expect(ratio("rate", [2], [2], { atLeast: 1.5 }).met).toBe(false);
  expect(ratio("no aim", [2], [2])).not.toHaveProperty("met");
});

test("no samples are no figure", () => {
  expect(() => quantile([], 0.5)).toThrow("no samples");
});
