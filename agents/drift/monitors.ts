import type { Culprit } from "@sluice/proto/wire/report";
import type { ChildHandle, Namespace } from "../exec/namespace.ts";

/**
 * `nft monitor` and `tc monitor`: the kernel's own word that something changed, within milliseconds. Both sleep until
 * then. One that dies is started again, later each time; a tool that isn't there is left out. What may have been missed
 * (the kernel had more to tell than was read, or nobody listened for a while) is told as a change by nobody known.
 */
export interface Monitors {
  close(): Promise<void>;
}

export interface MonitorOptions {
  at: Namespace;
  /** which tables and devices changed isn't said here: whoever hears it looks */
  onChange(by: Culprit | undefined): void;
  log(message: string): void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

export function startMonitors(options: MonitorOptions): Monitors {
  const unknown = () => options.onChange(undefined);
  function onNft(line: string): void {
    const by = parseGeneration(line);
    if (by !== undefined) options.onChange(by);
    else if (LOST.test(line)) unknown();
  }
  function onTc(line: string): void {
    if (line.trim() !== "") unknown();
  }
  const stops = [
    keepRunning(options, "nft", ["monitor"], onNft, unknown),
    keepRunning(options, "tc", ["monitor"], onTc, unknown),
  ];
  return {
    async close() {
      await Promise.all(stops.map((stop) => stop()));
    },
  };
}

/** `# ERROR: We lost some netlink events!`: its socket's buffer was full. */
const LOST = /^# ERROR: .* lost /;

/** `# new generation 7 by process 17058 (iptables-nft)`: the end of one change of any table. */
export function parseGeneration(line: string): Culprit | undefined {
  const match = /^# new generation \d+(?: by process (\d+) \((.*)\))?/.exec(line);
  if (match === null) return undefined;
  return match[1] === undefined ? {} : { pid: Number(match[1]), tool: match[2] ?? "" };
}

/** Starts a command again whenever it ends, until the returned function is called. */
export function keepRunning(
  { at, log }: Pick<MonitorOptions, "at" | "log">,
  command: string,
  args: readonly string[],
  onLine: (line: string) => void,
  onRestart: () => void = () => undefined,
): () => Promise<void> {
  let child: ChildHandle | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let retryMs = FIRST_RETRY_MS;

  function start(): void {
    try {
      child = at.spawn(command, args);
    } catch {
      log(`${command} can't be started: its changes are seen by the full check only`);
      return;
    }
    const startedMs = performance.now();
    child.onLine((stream, line) => {
      if (stream === "stdout") onLine(line);
    });
    void child.exited.then(() => {
      if (stopped) return;
      retryMs =
        performance.now() - startedMs > LAST_RETRY_MS ? FIRST_RETRY_MS : Math.min(retryMs * 2, LAST_RETRY_MS);
      timer = setTimeout(() => {
        start();
        onRestart();
      }, retryMs);
      timer.unref();
    });
  }

  start();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    child?.kill();
    await child?.exited;
  };
}
