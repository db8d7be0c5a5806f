import type { RecordedEvent } from "../log/upcast-events.ts";

/** What stands where a person's name or words were erased. */
export const ERASED = "(erased)";

export function decidedBy({ meta }: RecordedEvent): { at: string; actor: string; reason: string } {
  return { at: meta.at, actor: meta.actor ?? ERASED, reason: meta.reason ?? ERASED };
}
