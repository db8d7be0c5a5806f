import type { ManifestTest } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument, PolicyTest } from "@sluice/proto/policy/document";
import { endsFault, parseTestGoal, parseTestSource } from "@sluice/proto/policy/test-ends";
import type { Reporter } from "./findings.ts";

/**
 * Tests whose variables are replaced, as the packets that they are. Those of a policy that only observes wait until it
 * decides something.
 */
export function compileTests({ tests, mode }: PolicyDocument, report: Reporter): ManifestTest[] {
  const compiled = tests.flatMap((test, index) => compileTest(test, `tests[${index}]`, report) ?? []);
  const [first] = tests;
  if (mode !== "observe" || first === undefined) return compiled;
  report.warn(first, "its tests aren't run while the policy only observes");
  return [];
}

function compileTest(test: PolicyTest, path: string, report: Reporter): ManifestTest | undefined {
  const { hook, state, expect, via, out, line, column } = test;
  const at = { line, column, path };
  const source = test.from === undefined ? undefined : parseTestSource(test.from);
  const goal = parseTestGoal(test.to);
  if (source?.ok === false) {
    report.problem(at, source.message, { found: test.from ?? "", expected: source.expected });
    return undefined;
  }
  if (!goal.ok) {
    report.problem(at, goal.message, { found: test.to, expected: goal.expected });
    return undefined;
  }
  const fault = endsFault(hook, source?.source, goal.goal);
  const family = source?.source.family ?? goal.goal.family;
  if (fault !== undefined || family === undefined) {
    report.problem(at, fault?.message ?? "a test needs an address", fault && { expected: fault.expected });
    return undefined;
  }
  const { protocol, port, address: to } = goal.goal;
  const { address: from, port: fromPort } = source?.source ?? {};
  return {
    ...{ protocol, hook, state, family, expect },
    ...(from !== undefined && { from }),
    ...(fromPort !== undefined && { fromPort }),
    ...(to !== undefined && { to }),
    ...(port !== undefined && { port }),
    ...(via !== undefined && { via }),
    ...(out !== undefined && { out }),
    origin: report.origin(at),
  };
}
