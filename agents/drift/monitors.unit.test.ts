import { expect, test } from "vitest";
import { parseGeneration } from "./monitors.ts";

test("who changed a table is read from the kernel's own line", () => {
  expect(parseGeneration("# new generation 7 by process 17058 (iptables-nft)")).toEqual({
    pid: 17058,
    tool: "iptables-nft",
  });
});

test("a change whose author the kernel doesn't name is still a change", () => {
  expect(parseGeneration("# new generation 7")).toEqual({});
});

test("the lines of a change itself are not its end", () => {
  expect(parseGeneration("add rule ip filter INPUT # new generation 7")).toBeUndefined();
});
