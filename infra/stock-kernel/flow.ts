import type { Writable } from "node:stream";

/**
 * Text to the guest, never more at a time than its terminal's buffer holds (4 KiB): when that is full the kernel stops
 * to read the line, and user-mode Linux 6.1 never starts again. The guest tells how many bytes it has taken.
 *
 * The other way needs nothing of it: a guest that writes too fast waits.
 */
export const WINDOW_BYTES = 3072;
/** how many the guest takes before it tells */
export const TELL_BYTES = 1024;

/** Stands before each of the guest's reports: the kernel, as it boots, speaks on the same stream. */
export const REPORT_MARK = "\u0001";

export interface Flow {
  send(text: string): void;
  /** the guest has taken so many more */
  taken(bytes: number): void;
}

export function flowInto(line: Pick<Writable, "write">): Flow {
  const waiting: Buffer[] = [];
  let room = WINDOW_BYTES;

  function pour(): void {
    while (room > 0) {
      const next = waiting.shift();
      if (next === undefined) return;
      const now = next.subarray(0, room);
      if (now.length < next.length) waiting.unshift(next.subarray(now.length));
      room -= now.length;
      line.write(now);
    }
  }

  return {
    send(text) {
      waiting.push(Buffer.from(text));
      pour();
    },
    taken(bytes) {
      room += bytes;
      pour();
    },
  };
}
