import type { Refusal } from "@sluice/proto/wire/report";
import type { Target } from "../drivers/driver.ts";
import { bootId } from "../state/process-id.ts";
import type { Journal } from "../state/schemas.ts";
import { type Handover, withTrees } from "../takeover/takeover.ts";
import { buildOnBare, NOTHING, renderHeld } from "../undo/render-held.ts";
import { renderUndo } from "../undo/render-undo.ts";
import { type Deadline, openDeadline } from "./deadline.ts";
import type { ConvergeParts, Issued } from "./parts.ts";
import { withMembers } from "./target.ts";

/**
 * Everything needed to undo the change is on the disk, and somebody watches the deadline, when this returns. Only then
 * may anything be written. In this order: undo files, journal, runner. So a journal without a runner is possible, and
 * means that nothing was written; a runner without a journal isn't.
 */
export async function openJournal(
  parts: ConvergeParts,
  issued: Issued,
  /** `held` is what a boot fills in once it is confirmed: `after` without what is given back */
  change: {
    before: Target | undefined;
    after: Target;
    held: Target;
    handover: Handover;
    /** devices whose trees change hands as they stand */
    standing: readonly string[];
  },
): Promise<Deadline> {
  const { undo, state, clock } = parts;
  const { handover, held, standing } = change;
  const before = withMembers(change.before ?? NOTHING, parts.listMembers);
  const previous = withTrees(before, handover.taking);
  const { tool, script, folder } = undo;
  await parts.takeover.keep(handover);
  const counters = await parts.takeover.counters(handover);
  const files = renderUndo({
    ...{ previous, next: change.after, tcBuild: buildOnBare, handover, standing, counters, tool },
  });
  const next = renderHeld(withMembers(held, parts.listMembers), { tool, script });
  await folder.prepare(script, files, next, undo.agent);
  await parts.at?.("record");
  await state.journal.write({
    ...issued.issue,
    manifest: issued.text,
    boot: bootId(),
    startedAt: clock.wall().toISOString(),
    local: issued.local,
  });
  await parts.at?.("watch");
  await undo.runner.start();
  await parts.at?.("deadline");
  return await openDeadline(parts, issued.manifest.deadlineMs);
}

/** The agent gives the change up: from here on a restart knows why. */
export async function noteRefusal(parts: ConvergeParts, refusal: Refusal): Promise<void> {
  const stored = await parts.state.journal.read();
  if (stored.kind === "value") await parts.state.journal.write({ ...stored.value, refusal });
}

/** The change is over and told: journal first, so that nobody undoes what is settled. A boot brings back the new one. */
export async function closeJournal(parts: Pick<ConvergeParts, "state" | "undo">): Promise<void> {
  await parts.undo.runner.ended();
  if (parts.undo.folder.isConfirmed()) await parts.undo.held.take(parts.undo.folder.next);
  await parts.state.journal.remove();
  await parts.undo.folder.clear();
}

export type Recovery =
  /** nothing was under way */
  | "none"
  /** control said yes before the agent ended: settle it as confirmed */
  | "seal"
  /** the machine was restarted: the kernel is empty, there is nothing to undo */
  | "gone"
  /** the runner has undone it */
  | "undone"
  /** still there: undo it now */
  | "undo";

/** What to do about a change that was under way when the agent ended. Pure. */
export function decideRecovery(found: {
  journal: Pick<Journal, "boot"> | undefined;
  boot: string;
  confirmed: boolean;
  outcome: "none" | "pending" | "reverted" | "partial";
}): Recovery {
  if (found.journal === undefined) return "none";
  if (found.confirmed) return "seal";
  if (found.journal.boot !== found.boot) return "gone";
  return found.outcome === "pending" ? "undo" : "undone";
}
