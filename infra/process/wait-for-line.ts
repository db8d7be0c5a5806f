import { createInterface } from "node:readline";
import type { GuardedChild } from "./guarded-child.ts";

export interface WaitForLineOptions {
  pattern: RegExp;
  timeoutMs: number;
}

const lastWords = 5;

/**
 * Waits until the child writes a line on stderr that matches and returns every line up to it. A child that ends
 * first, or the time running out, throws with its last lines. The stream is read on for ever after, so the child
 * never blocks on a full pipe.
 */
export function waitForLine(child: GuardedChild, options: WaitForLineOptions): Promise<string[]> {
  const { pattern, timeoutMs } = options;
  const lines: string[] = [];
  child.stdout.resume();
  const reader = createInterface({ input: child.stderr });
  return new Promise((resolve, reject) => {
    function fail(reason: string) {
      clearTimeout(timer);
      reject(new Error(`${reason}; its last words: ${lines.slice(-lastWords).join(" | ") || "none"}`));
    }
    function collect(line: string) {
      lines.push(line);
      if (!pattern.test(line)) return;
      clearTimeout(timer);
      reader.off("line", collect);
      reader.resume();
      resolve(lines);
    }
    const timer = setTimeout(() => fail(`no line like ${pattern} within ${timeoutMs} ms`), timeoutMs);
    reader.on("line", collect);
    // Not at `exit`: what is still in the pipe then holds the reason.
    reader.on("close", () => child.exited.then(({ text }) => fail(text)));
  });
}

/** Waits for the child's end; a code other than 0 throws with its last lines. */
export async function waitForSuccess(child: GuardedChild): Promise<void> {
  const lines: string[] = [];
  child.stdout.resume();
  for await (const line of createInterface({ input: child.stderr })) lines.push(line);
  const { code, text } = await child.exited;
  if (code !== 0)
    throw new Error(`${text}; its last words: ${lines.slice(-lastWords).join(" | ") || "none"}`);
}
