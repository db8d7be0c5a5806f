import { TEST_EXPECTATIONS, TEST_HOOKS, TEST_STATES } from "../manifest/manifest.ts";
import type { PolicyTest } from "./document.ts";
import { lineOfText, oneOf, optional, withDefault } from "./fields.ts";
import { type Reader, readFields, readList } from "./reader.ts";
import { type MapNode, positionOf, type SourceNode } from "./source-node.ts";
import { type EndFault, endsFault, GOAL, parseTestGoal, parseTestSource, SOURCE } from "./test-ends.ts";
import { hasVariable } from "./variables.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

const DEVICE = /^[^\s/:"'\\\p{Cc}-][^\s/:"'\\\p{Cc}]{0,14}$/u;
const EXAMPLE = "a test such as { from: 203.0.113.9, to: tcp/22, expect: drop }";

const DEVICE_EXPECTED = "a device's name, of at most 15 characters";

/** `tests`: packets, and what is to become of them. */
export function readTests(reader: Reader, node: SourceNode | undefined, vars: Variables): PolicyTest[] {
  const list = node && readList(reader, node, `a list of tests, ${EXAMPLE}`);
  return (list?.items ?? []).flatMap((item) => readTest(reader, item, vars) ?? []);
}

function readTest(reader: Reader, node: SourceNode, vars: Variables): PolicyTest | undefined {
  const fields = readFields(reader, node, {
    from: "nested",
    to: "nested",
    via: optional(lineOfText),
    out: optional(lineOfText),
    hook: withDefault(oneOf(TEST_HOOKS), "input"),
    state: withDefault(oneOf(TEST_STATES), "new"),
    expect: oneOf(TEST_EXPECTATIONS),
  });
  if (node.kind !== "map") return undefined;
  const from = readEnd(reader, node, "from", vars, (text) => parseTestSource(text), SOURCE);
  const to = readEnd(reader, node, "to", vars, (text) => parseTestGoal(text), GOAL);
  const devicesFit = ["via", "out"].map((name) => checkDevice(reader, node.fields.get(name)?.value, vars));
  if (node.fields.get("to") === undefined)
    reader.problem(node, "to is missing", { found: "nothing", expected: `to: ${GOAL}` });
  if (fields === undefined || from === false || typeof to !== "string" || devicesFit.includes(false))
    return undefined;
  const { via, out, hook, state, expect } = fields;
  if (out !== undefined && hook !== "forward") {
    reader.problem(
      node.fields.get("out")?.value ?? node,
      `a packet of ${hook} goes out by no second device`,
      {
        expected: "hook: forward, or no out",
      },
    );
    return undefined;
  }
  if (!checkTogether(reader, node, hook, from, to)) return undefined;
  return {
    ...(from !== undefined && { from }),
    to,
    ...(via !== undefined && { via }),
    ...(out !== undefined && { out }),
    hook,
    state,
    expect,
    ...positionOf(node),
  };
}

/** The text as it is written; false where it has a fault, undefined where it isn't there. */
function readEnd(
  reader: Reader,
  node: MapNode,
  name: "from" | "to",
  vars: Variables,
  parse: (text: string) => { ok: true } | EndFault,
  expected: string,
): string | undefined | false {
  const end = node.fields.get(name)?.value;
  if (end === undefined) return undefined;
  if (end.kind !== "text") {
    reader.problem(end, `bad value for ${name}`, { expected });
    return false;
  }
  if (!checkVariables(reader, end, vars)) return false;
  const faults = possibleTexts(end.text, vars).flatMap((text) => {
    const parsed = parse(text);
    return parsed.ok ? [] : [{ ...parsed, found: text }];
  });
  for (const { message, found, expected } of faults) reader.problem(end, message, { found, expected });
  return faults.length === 0 && end.text;
}

/** What depends on variables is told by compile, when their values are known. */
function checkTogether(
  reader: Reader,
  node: MapNode,
  hook: PolicyTest["hook"],
  from: string | undefined,
  to: string,
): boolean {
  if (hasVariable(`${from ?? ""} ${to}`)) return true;
  const source = from === undefined ? undefined : parseTestSource(from);
  const goal = parseTestGoal(to);
  if (source?.ok === false || !goal.ok) return true;
  const fault = endsFault(hook, source?.source, goal.goal);
  if (fault === undefined) return true;
  reader.problem(node.fields.get(fault.at)?.value ?? node, fault.message, { expected: fault.expected });
  return false;
}

function checkDevice(reader: Reader, node: SourceNode | undefined, vars: Variables): boolean {
  if (node?.kind !== "text") return true;
  if (!checkVariables(reader, node, vars)) return false;
  const odd = possibleTexts(node.text, vars).find((text) => !DEVICE.test(text));
  if (odd !== undefined)
    reader.problem(node, "this isn't a device", { found: odd, expected: DEVICE_EXPECTED });
  return odd === undefined;
}
