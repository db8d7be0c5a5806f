import { expect, test } from "vitest";
import { readableWords } from "./comparable-words.ts";

test("people are shown a class as they would write it", () => {
  const said =
    "prio 1 quantum 1514 rate 200Kbit ceil 200Kbit linklayer ethernet burst 1600b/1 mpu 0b cburst 15Kb/1 mpu 0b buffer [000f4240] cbuffer [0002faf0]";
  expect(readableWords(said.split(" ")).join(" ")).toBe(
    "prio 1 quantum 1514 rate 200Kbit ceil 200Kbit burst 1600b cburst 15Kb",
  );
  expect(readableWords("r2q 10 default 0x20 ver 3.17 direct_qlen 1000".split(" ")).join(" ")).toBe(
    "r2q 10 default 0x20 direct_qlen 1000",
  );
});

test("what was written differently from what is usual is shown", () => {
  expect(readableWords("linklayer atm mpu 64b burst 2Kb/8".split(" ")).join(" ")).toBe(
    "linklayer atm mpu 64b burst 2Kb/8",
  );
});
