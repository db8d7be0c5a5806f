import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { pipeline, Readable, type Writable } from "node:stream";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { ChildHandle, RunOptions, RunResult } from "./namespace.ts";

/**
 * The one way a command is started: an argument array, never a shell; the C locale, so that what tools say can be
 * parsed; bounded in time and in output; ended by SIGKILL. No name is ever looked up: told so, the C library doesn't look
 * after its resolver's file for each address that `ipset` reads, a quarter of what a restore costs.
 */
export interface ProcessOptions {
  /** beside PATH and LC_ALL */
  env?: Readonly<Record<string, string>> | undefined;
  /** default 256 MiB: a set of a million addresses reads back as 40 */
  maxOutputBytes?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const TOOL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
  run: RunOptions = {},
): Promise<RunResult> {
  const child = start(command, args, options);
  const maxOutputBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let bytes = 0;
  let timedOut = false;
  let overflowed = false;

  function collect(into: Buffer[], chunk: Buffer): void {
    bytes += chunk.length;
    if (bytes <= maxOutputBytes) {
      into.push(chunk);
    } else if (!overflowed) {
      overflowed = true;
      child.kill("SIGKILL");
    }
  }

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, run.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    child.stdout.on("data", run.onOutput ?? ((chunk: Buffer) => collect(stdout, chunk)));
    child.stderr.on("data", (chunk: Buffer) => collect(stderr, chunk));
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(cannotStart(command, error));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (overflowed) {
        reject(new SluiceError("INTERNAL", `${command} printed more than ${maxOutputBytes} bytes`));
      } else {
        resolve({
          code,
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString(),
          timedOut,
        });
      }
    });
    feed(child.stdin, run.input ?? "");
  });
}

function feed(stdin: Writable, input: NonNullable<RunOptions["input"]>): void {
  if (typeof input === "string" || input instanceof Uint8Array) stdin.end(input);
  else pipeline(Readable.from(input, { objectMode: false }), stdin, () => undefined); // an error closes it: it ends too early
}

/**
 * A command that does something with an open file of ours, named by its number, which is its last argument. It is waited
 * for with all else at rest: for the start of a process only.
 */
export function runOnFile(command: string, args: readonly string[], file: number) {
  const result = spawnSync(command, [...args, "3"], {
    stdio: ["ignore", "ignore", "pipe", file],
    env: environmentOf({}),
    timeout: DEFAULT_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  if (result.error !== undefined) throw cannotStart(command, result.error);
  return { code: result.status, stderr: result.stderr.toString() };
}

/** A command that stays: its lines are handed on as they come, `exited` resolves after the last of them. */
export function spawnProcess(command: string, args: readonly string[], options: ProcessOptions): ChildHandle {
  const child = start(command, args, options);
  const { pid } = child;
  if (pid === undefined) {
    child.on("error", () => {});
    throw cannotStart(command, new Error("not found, or no right to run it"));
  }
  const listeners: ((stream: "stdout" | "stderr", line: string) => void)[] = [];
  const emit = (stream: "stdout" | "stderr") => (line: string) => {
    for (const listener of listeners) listener(stream, line);
  };
  eachLine(child.stdout, emit("stdout"));
  eachLine(child.stderr, emit("stderr"));
  return {
    pid,
    write: (text) => void child.stdin.write(text),
    onLine: (listener) => void listeners.push(listener),
    exited: new Promise((resolve) => {
      child.on("error", () => resolve(null));
      child.on("close", (code) => resolve(code));
    }),
    kill: () => void child.kill("SIGKILL"),
  };
}

function start(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
): ChildProcessWithoutNullStreams {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: environmentOf(options),
  });
  // a child that ends early closes its stdin: what it said on stderr and its exit code tell the story, not EPIPE
  child.stdin.on("error", () => {});
  return child;
}

function environmentOf({ env }: ProcessOptions) {
  const PATH = process.env.PATH ? `${process.env.PATH}:${TOOL_PATH}` : TOOL_PATH;
  return { PATH, LC_ALL: "C", RES_OPTIONS: "no-reload", ...env };
}

function eachLine(stream: NodeJS.ReadableStream, emit: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) emit(line);
  });
  stream.on("end", () => {
    if (rest !== "") emit(rest);
  });
}

function cannotStart(command: string, cause: Error): SluiceError {
  return new SluiceError("UNAVAILABLE", `${command} can't be started: ${messageOf(cause)}`, { cause });
}
