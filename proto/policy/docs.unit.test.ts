import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formatProblem } from "../base/errors.ts";
import { parsePolicy } from "./parse.ts";
import { policyWith } from "./test-policy.ts";

/** The one test of this folder that reads a file: what the documentation shows is what the parser takes. */
const page = readFileSync(new URL("../../docs/policy-language.md", import.meta.url), "utf8");

const blocks = [...page.matchAll(/^```yaml( refused)?\n(.*?)^```$/gms)].map(
  ([, refused, text = ""], index) => ({
    name: `example ${index + 1}: ${text.split("\n").slice(0, 4).join(" ").slice(0, 60)}`,
    isRefused: refused !== undefined,
    text: text.startsWith("policy:") ? text : policyWith(text),
  }),
);

test.each(blocks.filter(({ isRefused }) => !isRefused))("$name is taken", ({ text }) => {
  const result = parsePolicy(text, "policy-language.md");
  expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual([]);
});

test.each(blocks.filter(({ isRefused }) => isRefused))("$name is refused, for one reason", ({ text }) => {
  const result = parsePolicy(text, "policy-language.md");
  expect(result.ok ? "taken" : result.problems.map(formatProblem)).toHaveLength(1);
});

test("the page names every field of a policy", () => {
  const result = parsePolicy("unknown: 1\n");
  const [unknown] = result.ok ? [] : result.problems;
  const fields = unknown?.expected?.replace("one of ", "").split(", ") ?? [];
  expect(fields.length).toBeGreaterThan(10);
  expect(fields.filter((field) => !page.includes(`\`${field}\``))).toEqual([]);
});

test("both kinds of examples are there", () => {
  expect(blocks.filter(({ isRefused }) => isRefused).length).toBeGreaterThan(10);
  expect(blocks.filter(({ isRefused }) => !isRefused).length).toBeGreaterThan(15);
});
