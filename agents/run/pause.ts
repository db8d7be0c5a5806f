import { bootId, uptimeMs } from "../state/process-id.ts";
import type { RecordFile } from "../state/record-file.ts";
import { readOr } from "../state/record-file.ts";
import type { Paused, PauseRecord } from "../state/schemas.ts";

/**
 * Break-glass: while it lasts, nothing is applied, repaired or taken. It ends by itself, also across restarts, and within
 * a boot whatever is done to the wall clock.
 */
export interface Pause {
  now(): Paused | undefined;
  /** In force at once; over again where the disk doesn't take it. */
  begin(paused: Paused): Promise<void>;
  end(): Promise<void>;
  /** forgets the timer, not the pause */
  close(): void;
}

export interface PauseOptions {
  file: RecordFile<PauseRecord>;
  onEnd(): void;
  log(message: string): void;
}

/** a sleeping machine's timers stand still, so it looks now and then */
const LONGEST_WAIT_MS = 60_000;

export function pauseRecord(paused: Paused): PauseRecord {
  const leftMs = Date.parse(paused.until) - Date.now();
  return { ...paused, boot: bootId(), dueMs: uptimeMs() + leftMs };
}

/** Milliseconds that it still lasts; none: it is over. */
export function leftOf({ boot, dueMs, until }: PauseRecord): number {
  if (dueMs !== undefined && boot === bootId()) return Math.max(0, dueMs - uptimeMs());
  return Math.max(0, Date.parse(until) - Date.now());
}

export function pausedOf({ until, reason, by }: PauseRecord): Paused {
  return { until, reason, by };
}

export async function openPause({ file, onEnd, log }: PauseOptions): Promise<Pause> {
  let paused = await readOr(file, (reason) => log(`the pause can't be read, so there is none: ${reason}`));
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    clearTimeout(timer);
    if (paused === undefined) return;
    const leftMs = leftOf(paused);
    timer = setTimeout(
      () => (leftMs > LONGEST_WAIT_MS ? schedule() : void end()),
      Math.min(leftMs, LONGEST_WAIT_MS),
    );
  }

  async function end(): Promise<void> {
    clearTimeout(timer);
    if (paused === undefined) return;
    paused = undefined;
    await file.remove();
    onEnd();
  }

  schedule();
  return {
    now: () => paused && pausedOf(paused),
    async begin(next) {
      const before = paused;
      paused = pauseRecord(next);
      try {
        await file.write(paused);
      } catch (error) {
        paused = before;
        throw error;
      }
      schedule();
    },
    end,
    close: () => clearTimeout(timer),
  };
}
