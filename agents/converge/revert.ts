import type { Refusal } from "@sluice/proto/wire/report";
import { noteRefusal } from "./journal.ts";
import type { ConvergeParts } from "./parts.ts";

/**
 * Undoes the change now, by the same runner that would do it at the deadline. Returns the refusal as it is to be told:
 * with a word on what would not go back.
 */
export async function revert(parts: ConvergeParts, refusal: Refusal): Promise<Refusal> {
  await noteRefusal(parts, refusal).catch(() => undefined); // a full disk is no reason to keep a bad change
  const outcome = await parts.undo.runner.revert();
  if (outcome === "reverted") return refusal;
  const why = parts.undo.folder.complaint();
  const reason = `${refusal.reason} (not all could be undone at once, drift repair goes on: ${why})`;
  return { ...refusal, reason };
}
