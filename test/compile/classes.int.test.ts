import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { test } from "vitest";
import { expectPacketsIn } from "./classes-cases.ts";

test("u32 filters lead packets into their classes, on into a tree inside of one, and the rest to the default", async () => {
  const tree = `{
    by: u32,
    classes: {
      office: {
        rate: 5mbit,
        match: -d 10.77.0.20/30,
        leaf: { classes: { voice: { rate: 1mbit, match: -d 10.77.0.21 }, rest: { rate: 1mbit, default: true } } }
      },
      web: { rate: 1mbit, match: -d 10.77.0.24, leaf: auto },
      rest: { rate: 1mbit, default: true }
    }
  }`;
  await expectPacketsIn(openRehearsal, tree, { 21: "10:10", 22: "10:20", 24: "20:", 30: "1:30" });
});
