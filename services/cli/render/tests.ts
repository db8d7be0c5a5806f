import type { MetRule, TestResult } from "@sluice/proto/manifest/test-result";
import { type Files, originText, placeText } from "./place.ts";

/** A test's place, what it is, what came of it; below it the rule that decided. */
export function testLines(result: TestResult, files?: Files): string[] {
  const { packet, expect, verdict, decided, reason, origin } = result;
  const place = `${placeText(origin, files)}: ${packet}`;
  const by = decided === undefined ? [] : [`    ${ruleText(decided, files)}`];
  if (verdict === "unknown")
    return [`${place}: expected ${expect}, unknown: ${reason ?? "no reason"}`, ...by];
  if (verdict === expect) return [`${place}: ${verdict}`, ...by];
  return [`${place}: expected ${expect}, but ${verdict}`, ...(by.length > 0 ? by : ["    no rule ends it"])];
}

/** `ip4/filter/SL-INPUT: -j DROP (door.yaml:7)` */
export function ruleText({ chain, rule, origin, foreign }: MetRule, files?: Files): string {
  return `${chain}: ${rule}${foreign ? " (not Sluice's)" : originText(origin, files)}`;
}
