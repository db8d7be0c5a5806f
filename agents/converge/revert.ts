import { messageOf } from "@sluice/proto/base/errors";
import { EMPTY_MANIFEST, type Manifest } from "@sluice/proto/manifest/manifest";
import type { Refusal } from "@sluice/proto/wire/report";
import type { Script, Target } from "../drivers/driver.ts";
import { givingBackScripts, type Handover, withTrees } from "../takeover/takeover.ts";
import { noteRefusal } from "./journal.ts";
import { readAll, renderAll, writeScripts } from "./kernel.ts";
import type { Before, ConvergeParts } from "./parts.ts";
import { targetOf } from "./target.ts";

/**
 * Undoes the change now, by the same runner that would do it at the deadline. Returns the refusal as it is to be told:
 * with a word on what would not go back. Where the runner's files are gone or can't be read (somebody cleaned up, the
 * disk died), the drivers go back to what stood before: a change must not stay because its way back was lost.
 */
export async function revert(
  parts: ConvergeParts,
  refusal: Refusal,
  change: { from: Manifest; before: Before | undefined; handover: Handover },
): Promise<Refusal> {
  await parts.at?.("give up");
  await noteRefusal(parts, refusal).catch(() => undefined); // a full disk is no reason to keep a bad change
  await parts.at?.("undo");
  try {
    const outcome = await parts.undo.runner.revert();
    if (outcome === "reverted") return refusal;
    if (outcome !== "none") {
      const why = parts.undo.folder.complaint();
      return more(refusal, `not all could be undone at once, drift repair goes on: ${why}`);
    }
  } catch (error) {
    parts.log("the undo runner could not be told to undo", { reason: messageOf(error) });
  }
  await goBack(parts, change);
  return more(refusal, "undone by the agent itself: the files for its undo were lost");
}

async function goBack(
  parts: ConvergeParts,
  { from, before, handover }: { from: Manifest; before: Before | undefined; handover: Handover },
): Promise<void> {
  const { drivers, live } = parts;
  const bare = targetOf(before?.manifest ?? EMPTY_MANIFEST, parts.local(), parts.listMembers, from);
  const target = withTrees(bare, handover.taking);
  const plan = renderAll(drivers, target, undefined, await readAll(drivers, live, target));
  const gone = await goneOf(parts, target, from, handover);
  await writeScripts(drivers, live, [
    ...gone.first,
    ...plan.build,
    ...plan.remove,
    ...gone.last,
    ...plan.removeSets,
  ]);
}

/** What the change had taken from others already. */
async function goneOf(
  parts: ConvergeParts,
  back: Target,
  from: Manifest,
  handover: Handover,
): Promise<{ first: Script[]; last: Script[] }> {
  if (handover.taking.length === 0) return { first: [], last: [] };
  const claims = targetOf(from, parts.local(), parts.listMembers);
  const standing = await parts.takeover.standing(claims);
  const givingBack = handover.taking.filter(({ claim }) => !standing.some((one) => one.claim === claim));
  return givingBackScripts({ taking: [], givingBack }, back);
}

function more(refusal: Refusal, what: string): Refusal {
  return { ...refusal, reason: `${refusal.reason} (${what})` };
}
