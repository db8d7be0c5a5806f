import type { ChildHandle, Namespace } from "./namespace.ts";

/**
 * A long-lived tool that is fed changes on stdin: a process per change costs more than the change.
 *
 * 1. One text at a time; the next waits until the one before is answered.
 * 2. Answered means: the tool has executed the whole text. After each text stands a mark, something harmless that
 *    makes the tool print a number; it reads line by line, so when the number is seen, all before it is done.
 * 3. A tool that dies answers the text in flight with its last words; the next text starts a new one.
 * 4. A text that isn't answered in time is answered by the tool's death. It may or may not have been executed:
 *    whoever sent it must read the kernel.
 * 5. Waiting costs nothing: a sleeping process, no timer.
 *
 * Never write to the tool outside `send`: lines are counted, because tools name the line at fault since they started.
 */
export interface FeedOptions {
  command: string;
  args: readonly string[];
  /** text that makes the tool print `n`, with its newline */
  mark(n: number): string;
  /** whether the mark of that number made it print this line */
  isMark(line: string, n: number): boolean;
  /** how the tool refuses: it ends (iptables-restore), or it says so on stderr and goes on (ipset, tc) */
  refusesBy: "ending" | "stderr";
  /** default 15 s */
  timeoutMs?: number | undefined;
}

export type FeedResult =
  | {
      ok: true;
      /** what it printed on stdout since the text was sent */
      lines: string[];
    }
  | {
      ok: false;
      /** what it said on stderr since the text was sent */
      lines: string[];
      /** lines fed to this child before the text: what its line numbers count from */
      linesBefore: number;
      /** what it ended with; null while it lives, and where it was killed */
      code: number | null;
      /** `refused`: it said no. `died`: it ended without a word. `timeout`: it was killed. */
      why: "refused" | "died" | "timeout";
    };

export interface Feed {
  send(text: string): Promise<FeedResult>;
  /** the running child, for whoever must end it from outside */
  readonly pid: number | undefined;
  /** Ends the child; the next `send` starts a new one, which remembers nothing. */
  retire(): Promise<void>;
}

interface InFlight {
  n: number;
  linesBefore: number;
  stdout: string[];
  stderr: string[];
  answer(result: FeedResult): void;
}

interface Running {
  handle: ChildHandle;
  lines: number;
  marks: number;
  inFlight: InFlight | undefined;
  timedOut: boolean;
}

export function createFeed(ns: Namespace, options: FeedOptions): Feed {
  const timeoutMs = options.timeoutMs ?? 15_000;
  let running: Running | undefined;
  let last: Promise<unknown> = Promise.resolve();

  function begin(): Running {
    const child: Running = {
      handle: ns.spawn(options.command, options.args),
      lines: 0,
      marks: 0,
      inFlight: undefined,
      timedOut: false,
    };
    child.handle.onLine((stream, line) => heard(child, stream, line));
    void child.handle.exited.then((code) => ended(child, code));
    return child;
  }

  function heard(child: Running, stream: "stdout" | "stderr", line: string): void {
    const { inFlight } = child;
    if (inFlight === undefined) return;
    if (options.isMark(line, inFlight.n)) {
      const refused = options.refusesBy === "stderr" && inFlight.stderr.length > 0;
      inFlight.answer(refused ? failure(inFlight, "refused", null) : { ok: true, lines: inFlight.stdout });
    } else if (stream === "stdout") {
      inFlight.stdout.push(line);
    } else if (line.trim() !== "") {
      inFlight.stderr.push(line);
    }
  }

  function ended(child: Running, code: number | null): void {
    if (running === child) running = undefined;
    const { inFlight } = child;
    if (inFlight === undefined) return;
    const spoke = inFlight.stderr.length > 0;
    inFlight.answer(failure(inFlight, child.timedOut ? "timeout" : spoke ? "refused" : "died", code));
  }

  function feed(text: string): Promise<FeedResult> {
    running ??= begin();
    const child = running;
    const body = text.endsWith("\n") || text === "" ? text : `${text}\n`;
    const n = ++child.marks;
    const mark = options.mark(n);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        child.timedOut = true;
        child.handle.kill();
      }, timeoutMs);
      child.inFlight = {
        n,
        linesBefore: child.lines,
        stdout: [],
        stderr: [],
        answer(result) {
          clearTimeout(timer);
          child.inFlight = undefined;
          resolve(result);
        },
      };
      child.lines += countLines(body) + countLines(mark);
      child.handle.write(body + mark);
    });
  }

  function queue<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  }

  return {
    send: (text) => queue(() => feed(text)),
    get pid() {
      return running?.handle.pid;
    },
    retire: () =>
      queue(async () => {
        running?.handle.kill();
        await running?.handle.exited;
      }),
  };
}

function failure(inFlight: InFlight, why: "refused" | "died" | "timeout", code: number | null): FeedResult {
  return { ok: false, lines: inFlight.stderr, linesBefore: inFlight.linesBefore, code, why };
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
