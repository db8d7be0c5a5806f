import { messageOf } from "@sluice/proto/base/errors";
import type { Before, ConvergeParts } from "../converge/parts.ts";
import { plan } from "../converge/plan.ts";
import { parseManifest } from "../converge/take.ts";
import type { AgentLink } from "../link/link.ts";
import type { Turns } from "./turns.ts";

export interface PlanDutyOptions {
  parts: ConvergeParts;
  link: AgentLink;
  turns: Turns;
  before(): Before | undefined;
}

const TOLD_MAX = 500;

/** Answers plans, one at a time; one that nobody waits for any more isn't answered. */
export function createPlanDuty({ parts, link, turns, before }: PlanDutyOptions): (plan: string) => void {
  const waiting = new Set<string>();

  async function answer(name: string): Promise<void> {
    const opened = await link.fetchPlan(name);
    if (opened === undefined) return;
    if (!opened.ok || opened.value.server !== link.server || opened.value.plan !== name) {
      const reason = opened.ok ? "it is for another server or another plan" : opened.reason;
      return await link.report({ kind: "rejected", what: `plan ${name}`, reason });
    }
    const { manifest: blob, expiresAt } = opened.value;
    if (Date.parse(expiresAt) < parts.clock.wall().getTime()) return;
    const text = Buffer.from(await link.fetchBlob(blob)).toString();
    const parsed = parseManifest(text, blob.digest);
    const told = parsed.ok
      ? await plan(parts, parsed.manifest, before())
      : { refusal: { step: "take" as const, reason: parsed.reason }, differences: [], warnings: [] };
    const { refusal, differences, warnings } = told;
    const more = differences.length - TOLD_MAX;
    await link.report({
      kind: "plan",
      plan: name,
      digest: blob.digest,
      result: refusal === undefined ? "ok" : "refused",
      ...(refusal === undefined ? {} : { refusal }),
      differences: differences.slice(0, TOLD_MAX),
      warnings: more > 0 ? [...warnings, `${more} more differences are not shown`] : warnings,
    });
  }

  return (name) => {
    if (waiting.has(name)) return;
    waiting.add(name);
    void turns
      .take(async () => {
        waiting.delete(name);
        await answer(name);
      })
      .catch((error) => parts.log("a plan could not be answered", { plan: name, reason: messageOf(error) }));
  };
}
