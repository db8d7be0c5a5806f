import { describe, expect, test } from "vitest";
import { formatProblem } from "../base/errors.ts";
import { parsePolicy } from "./parse.ts";
import { expectRefusal, policyWith, policyWithRule } from "./test-policy.ts";
import { POLICY_MAX_BYTES, readYaml } from "./yaml-source.ts";

describe("what YAML refuses is said in the words of a policy, at its place", () => {
  test.each([
    ["‸", "the file is empty"],
    ["‸# nothing but a comment\n", "the file is empty"],
    ["‸- a\n", "this isn't a policy"],
    ["‸web-edge\n", "this isn't a policy"],
    ["policy: edge\n‸---\npolicy: other\n", "several documents in one file"],
    ["policy: edge\ntargets:\n‸\tservers: [a]\n", "a tab can't indent"],
    ["policy: edge\ntargets: { servers: [‸*] }\n", "a bare * is an alias in YAML"],
    [policyWith("reach: ‸*ports\n"), "there is no anchor &ports before this alias"],
    [policyWith("‸policy: again\n"), "policy stands twice"],
    [policyWith("vars: { a: b, ‸a: c }\n"), "a stands twice"],
    [policyWith("‸[a]: b\n"), "this can't be a key"],
    [policyWith("‸__proto__: b\n"), "this can't be a key"],
    [policyWith("description: 'not close‸d\n"), "not YAML: missing closing quote '"],
    [policyWith("description: ‸@here\n"), "not YAML: plain value cannot start with reserved character @"],
    [policyWith("description: ‸a: b\n"), "not YAML: nested mappings are not allowed in compact mappings"],
  ])("%j", (text, message) => expectRefusal(text, message));
});

test("a rule that begins with an exclamation mark is not silently turned round", () => {
  expectRefusal(
    policyWithRule("! ‸-s 192.0.2.1 -j DROP"),
    "an exclamation mark at the start is a tag in YAML, and would be lost",
    "the whole text in quotes",
  );
  expect(parsePolicy(policyWithRule("'! -s 192.0.2.1 -j DROP'")).ok).toBe(true);
});

test("plain values are the texts that were written, not numbers or booleans", () => {
  const { root } = readYaml("[022, yes, 1e3, ~, 2024-01-01, 1:30]", undefined);
  expect(root?.kind === "list" && root.items.map((item) => item.kind === "text" && item.text)).toEqual([
    "022",
    "yes",
    "1e3",
    "~",
    "2024-01-01",
    "1:30",
  ]);
});

test("an alias stands for what its anchor holds, and its problems are at the alias", () => {
  const rules = "    INPUT: &same\n      - -p tcp --dport 22 -j ACCEPT\n    FORWARD: *same\n";
  const result = parsePolicy(policyWith(`firewall:\n  filter:\n${rules}`));
  expect(result.ok && result.document.firewall.chains.map(({ rules }) => rules.length)).toEqual([1, 1]);
});

test("aliases that multiply are refused", () => {
  const level = (name: string, of: string) => `${name}: &${name} [${Array(10).fill(of).join(", ")}]\n`;
  const bomb = level("a", "x") + level("b", "*a") + level("c", "*b") + level("d", "*c") + level("e", "*d");
  const result = readYaml(bomb, "edge.yaml");
  expect(result.root).toBeUndefined();
  expect(result.problems.map(formatProblem)).toEqual([
    expect.stringMatching(/^edge.yaml:\d+:\d+: too many aliases/),
  ]);
});

test("an anchor inside itself ends", () => {
  expect(readYaml("&a [*a]", undefined).problems).toMatchObject([
    { message: expect.stringMatching(/^nested too deeply|^too many aliases/) },
  ]);
});

test.each([
  ["lists", "[".repeat(50) + "]".repeat(50)],
  ["many more lists", "[".repeat(50_000)],
  ["maps", Array.from({ length: 50 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join("")],
])("%s nested too deeply are refused", (_, text) => {
  expect(readYaml(text, undefined).problems).toMatchObject([{ message: "nested too deeply" }]);
});

test("a file that is too long is refused unread", () => {
  const result = parsePolicy(`# ${"é".repeat(POLICY_MAX_BYTES / 2)}`, "edge.yaml");
  expect(result).toMatchObject({
    problems: [{ message: "the file is too long", place: { file: "edge.yaml", line: 1, column: 1 } }],
  });
});

test("a message holds no control characters, whatever the file holds", () => {
  const result = parsePolicy(policyWith('"a\\u001b[31mb": 1\nsets: { "\\u0007": { type: "\\u001b" } }\n'));
  const lines = result.ok ? [] : result.problems.map(formatProblem);
  expect(lines.length).toBe(3);
  expect(lines.join("")).not.toMatch(/\p{Cc}/u);
});
