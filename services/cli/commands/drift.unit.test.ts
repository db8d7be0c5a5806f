import { expect, test } from "vitest";
import { withoutDriftText } from "./drift.ts";

test("servers that aren't heard are not called in order", () => {
  const heard = { server: "web-1", connected: true };
  expect(withoutDriftText([heard])).toBe("no drift: every kernel holds what it is to hold");
  expect(withoutDriftText([heard, { server: "web-2", connected: false }])).toBe(
    "no drift is known; not heard: web-2",
  );
});
