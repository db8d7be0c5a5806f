import type { RecordFile } from "../state/record-file.ts";
import { readOr } from "../state/record-file.ts";
import type { Paused } from "../state/schemas.ts";

/** Break-glass: while it lasts, nothing is applied, repaired or taken. It ends by itself, also across restarts. */
export interface Pause {
  now(): Paused | undefined;
  begin(paused: Paused): Promise<void>;
  end(): Promise<void>;
  /** forgets the timer, not the pause */
  close(): void;
}

export interface PauseOptions {
  file: RecordFile<Paused>;
  nowMs(): number;
  onEnd(): void;
  log(message: string): void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export async function openPause({ file, nowMs, onEnd, log }: PauseOptions): Promise<Pause> {
  let paused = await readOr(file, (reason) => log(`the pause can't be read, so there is none: ${reason}`));
  let timer: NodeJS.Timeout | undefined;

  function schedule(): void {
    clearTimeout(timer);
    if (paused === undefined) return;
    const leftMs = Date.parse(paused.until) - nowMs();
    timer = setTimeout(
      () => (leftMs > LONGEST_TIMER_MS ? schedule() : void end()),
      Math.max(0, Math.min(leftMs, LONGEST_TIMER_MS)),
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
    now: () => paused,
    async begin(next) {
      await file.write(next);
      paused = next;
      schedule();
    },
    end,
    close: () => clearTimeout(timer),
  };
}
