import { createWriteStream } from "node:fs";
import { commandIn } from "../net/namespace.ts";
import { type Exit, startGuarded } from "../process/guarded-child.ts";

/** Control as a process of its own, in the namespace of the host `control`. */
export interface ControlProcess {
  pid(): number | undefined;
  signal(name: NodeJS.Signals): void;
  /** How the process that runs now, or ran last, ends. */
  exited(): Promise<Exit>;
  /** Starts it again where it has ended. */
  start(): void;
  stop(): Promise<void>;
}

export interface ControlOptions {
  namespace: string;
  /** the bundled control, or its source */
  program: string;
  args: readonly string[];
  environment: Readonly<Record<string, string>>;
  logFile: string;
}

export function startControlProcess(options: ControlOptions): ControlProcess {
  const log = createWriteStream(options.logFile, { flags: "a" });
  function spawnControl() {
    const child = startGuarded(
      commandIn(options.namespace, [process.execPath, options.program, ...options.args]),
      {
        env: { PATH: process.env.PATH, ...options.environment },
        deathSignal: "TERM",
      },
    );
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    return child;
  }
  let child = spawnControl();
  return {
    pid: () => (child.isRunning() ? child.pid : undefined),
    signal: (name) => child.signal(name),
    exited: () => child.exited,
    start() {
      if (!child.isRunning()) child = spawnControl();
    },
    async stop() {
      await child.stop("SIGTERM", 10_000);
      log.end();
    },
  };
}
