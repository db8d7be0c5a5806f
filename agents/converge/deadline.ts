import type { UndoFolder } from "../undo/undo-folder.ts";
import type { ConvergeParts } from "./parts.ts";

/**
 * The time a change has from its first write to its confirmation. When it is over, the runner undoes; the agent gives up a
 * little before that: then it lives to tell.
 */
export interface Deadline {
  /** when the agent gives up, on the clock of `nowMs` */
  untilMs(): number;
  /** from now on it is this long */
  restart(ms: number): Promise<void>;
  /** The time that the work takes doesn't count, up to the change's whole time once more. */
  aside<T>(work: () => Promise<T>): Promise<T>;
}

export async function openDeadline(
  { undo, clock }: Pick<ConvergeParts, "clock"> & { undo: { folder: Pick<UndoFolder, "order"> } },
  givenMs: number,
): Promise<Deadline> {
  const marginMs = Math.min(2_000, givenMs / 5);
  let dueMs = clock.nowMs() + givenMs;

  async function move(toMs: number): Promise<void> {
    dueMs = toMs;
    await undo.folder.order(clock.uptimeMs() + dueMs - clock.nowMs(), "kill");
  }

  await move(dueMs);
  return {
    untilMs: () => dueMs - marginMs,
    restart: (ms) => move(clock.nowMs() + ms),
    async aside(work) {
      const [begunMs, beforeMs] = [clock.nowMs(), dueMs];
      await move(beforeMs + givenMs);
      const result = await work();
      await move(beforeMs + Math.min(clock.nowMs() - begunMs, givenMs));
      return result;
    },
  };
}
