/**
 * Child processes that never outlive the process that started them.
 *
 * Promises:
 * 1. However this process ends (return, exception, SIGKILL), the child is signalled by the kernel
 *    (`setpriv --pdeathsig`): no signal handler of ours has to run.
 * 2. `stop()` returns only when the child is gone; one that ignores the stop signal is killed after the grace time.
 * 3. Only process ids we started are ever signalled.
 * 4. A Ctrl-C at the terminal reaches us and not the children, so that they end in the order that we say.
 *
 * The command must not change its user itself: a change of credentials clears the death signal.
 * Pass `user` and setpriv changes it first, then sets the signal.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Readable, Writable } from "node:stream";
import { type Bind, withBinds } from "./reachable-path.ts";

export interface User {
  uid: number;
  gid: number;
}

export interface GuardedOptions {
  /** What the kernel sends the child when we die. Postgres wants INT (it then leaves no shared memory). */
  deathSignal?: "KILL" | "TERM" | "INT";
  user?: User;
  /** Folders shown to the child elsewhere, so that `user` reaches them. */
  binds?: readonly Bind[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

export interface Exit {
  code: number | null;
  /** As "initdb ended with 1". */
  text: string;
}

export interface GuardedChild {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the process is gone; never rejects. */
  readonly exited: Promise<Exit>;
  isRunning(): boolean;
  signal(signal: NodeJS.Signals): void;
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}

/** `command` is the program followed by its arguments. */
export function startGuarded(command: readonly string[], options: GuardedOptions = {}): GuardedChild {
  const { user, deathSignal = "KILL", binds = [] } = options;
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"] : [];
  const guarded = [setprivPath(), ...identity, `--pdeathsig=${deathSignal}`, "--", ...command];
  const [program = "", ...args] = withBinds(binds, guarded);
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: options.env ?? process.env,
    cwd: options.cwd ?? "/",
    detached: true,
  });
  return wrap(child, basename(command[0] ?? ""));
}

function setprivPath(): string {
  const found = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path));
  if (!found) throw new Error("setpriv is missing; install it with: apt-get install util-linux");
  return found;
}

function wrap(child: ChildProcess, name: string): GuardedChild {
  const { pid, stdin, stdout, stderr } = child;
  if (pid === undefined || !stdin || !stdout || !stderr) throw new Error(`${name} could not be started`);
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      resolve({ code, text: `${name} ended with ${signal ?? code}` });
    });
  });
  stdin.on("error", () => {}); // a child that is gone: `exited` tells it, the write's EPIPE adds nothing

  function isRunning() {
    return child.exitCode === null && child.signalCode === null;
  }

  async function stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 5000) {
    if (!isRunning()) return;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await exited;
    clearTimeout(late);
  }

  return { pid, stdin, stdout, stderr, exited, isRunning, signal: (name) => child.kill(name), stop };
}
