import { parsePolicy } from "@sluice/proto/policy/parse";
import { expect, test } from "vitest";
import { listsNamedIn } from "./named-in.ts";

test.each([
  ["blocks: [bad]"],
  ["firewall: { filter: { INPUT: [ -m set --match-set list:bad src -j DROP ] } }"],
  ["sets: { all: { type: list:set, entries: [list:bad] } }"],
  [
    "shaping: { eth0: { classes: { a: { rate: 1mbit, default: true, match: -m set --match-set list:bad dst } } } }",
  ],
  ["vars: { which: list:bad }\nsets: { all: { type: list:set, entries: [$which] } }"],
])("a list is named by %s", (text) => {
  const parsed = parsePolicy(`policy: p\ntargets: { servers: ["*"] }\n${text}\n`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(listsNamedIn(parsed.document)).toContain("bad");
  expect(listsNamedIn(parsed.document)).not.toContain("other");
});
