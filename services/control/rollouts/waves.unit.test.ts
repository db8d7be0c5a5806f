import { expect, test } from "vitest";
import { planWaves } from "./waves.ts";

const TEN = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

test("unless said, all servers are one wave", () => {
  expect(planWaves(TEN, undefined)).toEqual([TEN]);
});

test("sizes are the share reached by then, rounded up", () => {
  expect(planWaves(TEN, [1, "25%", "100%"]).map((wave) => wave.length)).toEqual([1, 2, 7]);
});

test("no server is in two waves, and no wave is empty", () => {
  expect(planWaves(["a", "b"], [1, "50%", "60%", 5, "100%"])).toEqual([["a"], ["b"]]);
});

test("named waves hold those named that have something to do", () => {
  expect(planWaves(["a", "b"], [["b"], ["x"], ["a"]])).toEqual([["b"], ["a"]]);
  expect(() => planWaves(TEN, [["a"], ["b", "a"]])).toThrow("two waves");
});
