import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { z } from "zod";
import { type Caller, type Load, load } from "./append-load.ts";

/**
 * Callers in a process of their own. It is asked for a load by a line on stdin, `{"callers":8,"forMs":1000}`, and answers by a
 * line on stdout; it ends with its stdin.
 */
const asked = z.object({ callers: z.int(), forMs: z.number() });
const answered = z.object({ perSecond: z.number(), latenciesMs: z.array(z.number()) });

/** The process's side. */
export async function serveLoads(newCaller: () => Caller): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { callers, forMs } = asked.parse(JSON.parse(line));
    process.stdout.write(`${JSON.stringify(await load(callers, forMs, newCaller))}\n`);
  }
}

export interface LoadProcess extends AsyncDisposable {
  load(callers: number, forMs: number): Promise<Load>;
}

export function startLoadProcess(program: URL, ...args: readonly string[]): LoadProcess {
  const child = startGuarded([process.execPath, fileURLToPath(program), ...args]);
  child.stderr.pipe(process.stderr, { end: false });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async load(callers, forMs) {
      child.stdin.write(`${JSON.stringify({ callers, forMs })}\n`);
      const { done, value } = await lines.next();
      if (done) throw new Error((await child.exited).text);
      return answered.parse(JSON.parse(value));
    },
    async [Symbol.asyncDispose]() {
      await child.stop();
    },
  };
}
