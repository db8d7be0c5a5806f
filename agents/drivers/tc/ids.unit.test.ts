import { expect, test } from "vitest";
import { canonicalFilterHandle, canonicalId, qdiscOf } from "./ids.ts";

test("one object has one spelling", () => {
  expect(["1:0", "1:", "0x1:0", "0001:"].map(canonicalId)).toEqual(["1:", "1:", "1:", "1:"]);
  expect(["1:0010", "1:10", "A:b"].map(canonicalId)).toEqual(["1:10", "1:10", "a:b"]);
  expect(canonicalId("root")).toBe("root");
  expect(qdiscOf("a:20")).toBe("a:");
});

test("a u32 handle loses the number of the table its prio starts with, which nobody can choose", () => {
  expect(["800::1", "80a::1", "::1", "801:0:1"].map((one) => canonicalFilterHandle("u32", one))).toEqual([
    "::1",
    "::1",
    "::1",
    "::1",
  ]);
  expect(canonicalFilterHandle("u32", "5:10:1")).toBe("5:10:1");
  expect(canonicalFilterHandle("u32", "5:")).toBe("5:");
});

test("a mark is a number, however it is written", () => {
  expect(["80", "0x50"].map((one) => canonicalFilterHandle("fw", one))).toEqual(["0x50", "0x50"]);
  expect(canonicalFilterHandle("fw", "80/255")).toBe("0x50/0xff");
});
