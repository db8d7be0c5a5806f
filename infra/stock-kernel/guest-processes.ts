import type { RunOptions, RunResult } from "./boot.ts";
import type { Order, ProcessReport } from "./guest-protocol.ts";

/** A process in the stock kernel, by its orders and reports. */
export interface GuestProcess {
  /** its PID there; rejects when it can't be started */
  readonly started: Promise<number>;
  /** the exit code, after the last word; null when killed; rejects when the kernel went first */
  readonly exited: Promise<number | null>;
  onText(listener: (stream: "stdout" | "stderr", text: string) => void): void;
  write(text: string): void;
  end(): void;
  kill(): void;
}

export interface GuestProcesses {
  start(command: string, args: readonly string[]): GuestProcess;
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  hear(said: ProcessReport): void;
  /** the kernel is gone, and all of them with it */
  fail(reason: Error): void;
}

const DEFAULT_TIMEOUT_MS = 30_000;

interface Known {
  started: PromiseWithResolvers<number>;
  exited: PromiseWithResolvers<number | null>;
  listeners: ((stream: "stdout" | "stderr", text: string) => void)[];
}

export function guestProcesses(send: (order: Order) => void): GuestProcesses {
  const known = new Map<number, Known>();
  let lastId = 0;
  let gone: Error | undefined;

  function start(command: string, args: readonly string[]): GuestProcess {
    if (gone !== undefined) throw gone;
    lastId += 1;
    const id = lastId;
    const process: Known = {
      started: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      listeners: [],
    };
    // one of them may have nobody who waits for it
    process.started.promise.catch(() => {});
    process.exited.promise.catch(() => {});
    known.set(id, process);
    send({ do: "start", id, command, args });
    return {
      started: process.started.promise,
      exited: process.exited.promise,
      onText: (listener) => void process.listeners.push(listener),
      write: (text) => send({ do: "write", id, text }),
      end: () => send({ do: "end", id }),
      kill: () => send({ do: "kill", id }),
    };
  }

  async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const process = start(command, args);
    const said = { stdout: "", stderr: "" };
    let timedOut = false;
    process.onText((stream, text) => {
      said[stream] += text;
    });
    if (options.input) process.write(options.input);
    process.end();
    const late = setTimeout(() => {
      timedOut = true;
      process.kill();
    }, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    try {
      const code = await process.exited;
      return { code, ...said, timedOut };
    } finally {
      clearTimeout(late);
    }
  }

  function hear(said: ProcessReport): void {
    const process = known.get(said.id);
    if (process === undefined) return;
    switch (said.is) {
      case "started":
        process.started.resolve(said.pid);
        break;
      case "said":
        for (const listener of process.listeners) listener(said.stream, said.text);
        break;
      case "ended":
        known.delete(said.id);
        process.exited.resolve(said.code);
        break;
      case "unstartable":
        known.delete(said.id);
        reject(process, new Error(`it can't be started in the stock kernel: ${said.reason}`));
        break;
    }
  }

  function fail(reason: Error): void {
    gone = reason;
    for (const process of known.values()) reject(process, reason);
    known.clear();
  }

  return { start, run, hear, fail };
}

function reject(process: Known, reason: Error): void {
  process.started.reject(reason);
  process.exited.reject(reason);
}
