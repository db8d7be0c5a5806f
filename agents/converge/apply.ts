import type { Plan } from "./kernel.ts";
import { writeScripts } from "./kernel.ts";
import type { ConvergeParts } from "./parts.ts";

/**
 * Sets, then rules, then tc, then what goes, in reverse. Sets that go stay until the change is confirmed. Returns the
 * number of commits.
 */
export async function apply(parts: ConvergeParts, plan: Plan): Promise<number> {
  const scripts = [...plan.build, ...plan.remove];
  for (const script of scripts) {
    await parts.at?.("commit");
    await writeScripts(parts.drivers, parts.live, [script]);
  }
  return scripts.length;
}

/** After confirm: nothing leads back any more. */
export async function removeOldSets(parts: ConvergeParts, plan: Plan): Promise<number> {
  await writeScripts(parts.drivers, parts.live, plan.removeSets);
  return plan.removeSets.length;
}

export function isEmpty(plan: Plan): boolean {
  return plan.build.length === 0 && plan.remove.length === 0 && plan.removeSets.length === 0;
}
