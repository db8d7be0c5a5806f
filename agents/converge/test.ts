import { messageOf } from "@sluice/proto/base/errors";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { MetRule, TestResult } from "@sluice/proto/manifest/test-result";
import type { Refusal } from "@sluice/proto/wire/report";
import type { Target } from "../drivers/driver.ts";
import { same } from "../undo/plain-json.ts";
import type { Snapshots } from "./kernel.ts";
import type { Before, ConvergeParts } from "./parts.ts";
import { withoutMembers } from "./target.ts";

/** Sends a manifest's tests through a target as this kernel holds it. */
export type RunTests = (
  tests: NonNullable<Manifest["tests"]>,
  target: Target,
  want: Snapshots,
) => Promise<TestResult[]>;

export interface Tested {
  refusal: Refusal | undefined;
  /** tests of which nothing can be said here, each as a sentence */
  unknown: string[];
}

/** What was tested already isn't again: the same tests on the same content. */
export async function testOnce(
  parts: Pick<ConvergeParts, "runTests">,
  { tests = [] }: Manifest,
  target: Target,
  want: Snapshots,
  before: Before | undefined,
): Promise<Tested> {
  const isKnown =
    before?.want !== undefined &&
    same(tests, before.manifest.tests ?? []) &&
    same(withoutMembers(target), before.target);
  if (tests.length === 0 || isKnown) return { refusal: undefined, unknown: [] };
  let results: TestResult[];
  try {
    results = await parts.runTests(tests, target, want);
  } catch (error) {
    return { refusal: undefined, unknown: [`the tests can't be run here: ${messageOf(error)}`] };
  }
  const failed = results.filter(({ verdict, expect }) => verdict !== "unknown" && verdict !== expect);
  return {
    refusal: refusalOfTests(failed, results.length),
    unknown: results.filter(({ verdict }) => verdict === "unknown").map(unknownText),
  };
}

/** Undefined where none failed. */
export function refusalOfTests(failed: readonly TestResult[], all: number): Refusal | undefined {
  const [first] = failed;
  if (first === undefined) return undefined;
  const more = failed.length === 1 ? "" : ` (and ${failed.length - 1} more of ${all} tests failed)`;
  return {
    step: "test",
    reason: `${first.packet}: expected ${first.expect}, but ${first.verdict}${decidedText(first.decided)}${more}`,
    origin: first.origin,
    tests: [...failed],
  };
}

function unknownText({ packet, expect, reason, origin: { policy, line } }: TestResult): string {
  const place = line === undefined ? policy : `${policy} line ${line}`;
  return `${place}: whether ${packet} ends in ${expect} can't be said here: ${reason}`;
}

function decidedText(decided: MetRule | undefined): string {
  if (decided === undefined) return ": no rule ends it";
  const { chain, rule, origin } = decided;
  const place = origin?.line === undefined ? "" : `, ${origin.policy} line ${origin.line}`;
  return ` by ${chain}: ${rule}${place}`;
}
