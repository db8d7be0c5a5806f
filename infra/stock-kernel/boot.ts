import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GuardedChild, startGuarded } from "../process/guarded-child.ts";
import { makePrivateDirectory } from "../process/private-directory.ts";
import { runCommand } from "../process/run-command.ts";
import { flowInto, REPORT_MARK } from "./flow.ts";
import { type GuestProcess, type GuestProcesses, guestProcesses } from "./guest-processes.ts";
import { type Order, type Report, report } from "./guest-protocol.ts";
import { hasAmx, KERNEL, whyNoStockKernel } from "./requirements.ts";
import { splitLines } from "./split-lines.ts";

/**
 * A stock Debian kernel (user-mode Linux) as a process of this machine: for what the machine's own kernel lacks.
 *
 * 1. The guest sees the machine's root read-only, this checkout and its Node with it; what it writes goes to memory and
 *    is gone with it. Nothing it does reaches this machine: it has no device, and namespaces of its own here.
 * 2. It ends with `close()`, and with this process, however that ends: the kernel is PID 1 of a PID namespace whose
 *    maker dies with us, so nothing that it forked is left either.
 * 3. Commands run side by side in it, over one serial line. A kernel that is gone fails them with its last words.
 *
 * Its iptables is legacy: it was built without the families of nf_tables.
 */
export interface StockKernel extends AsyncDisposable {
  /** of the guest, as `uname -r` says */
  readonly release: string;
  /** Runs a command to its end; a code other than 0 is the caller's to judge. Throws when it can't be started. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a command that stays. */
  start(command: string, args: readonly string[]): GuestProcess;
  /** Powers it off; returns when no process and no file of it is left. */
  close(): Promise<void>;
  /** Ends it as a cut of its power would: what it has not written to a disk is lost. */
  cutPower(): Promise<void>;
}

export interface RunOptions {
  input?: string | undefined;
  /** default 30 s; then SIGKILL and `timedOut` */
  timeoutMs?: number | undefined;
}

export interface RunResult {
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

export interface BootOptions {
  /** what the kernel and its writes may take; default 384 */
  memoryMib?: number;
  /** default 30 s */
  timeoutMs?: number;
  /** for the kernel's command line, such as `ipv6.disable=1` */
  parameters?: readonly string[];
  /**
   * systemd is PID 1, and starts `guest.target` with what a boot needs and the agent of the host's line; told what to
   * put into the root before that, as a shell script that runs there.
   */
  systemd?: { prepare: string };
}

const POWER_OFF_MS = 5000;
const LAST_LINES = 8;

export async function bootStockKernel(options: BootOptions = {}): Promise<StockKernel> {
  const { memoryMib = 384, timeoutMs = 30_000, parameters = [] } = options;
  const obstacle = whyNoStockKernel();
  if (obstacle !== undefined) throw new Error(`no stock kernel: ${obstacle}`);
  const folder = makePrivateDirectory("stock-kernel");
  try {
    const environment = hasAmx() ? [`LD_PRELOAD=${await buildPreload(folder.path)}`] : [];
    layOut(folder.path, options.systemd?.prepare);
    const child = startGuarded([
      ...["unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["--propagation", "slave", "--", "env", ...environment, KERNEL],
      ...kernelArguments(folder.path, memoryMib, parameters),
    ]);
    const kernel = attach(child);
    const close = async () => {
      kernel.send({ do: "power off" });
      const late = setTimeout(() => child.signal("SIGKILL"), POWER_OFF_MS);
      await child.exited;
      clearTimeout(late);
      await folder.remove();
    };
    const cutPower = async () => {
      await child.stop("SIGKILL");
      await folder.remove();
    };
    try {
      await kernel.ready(timeoutMs);
      const { stdout } = await kernel.processes.run("uname", ["-r"]);
      const { run, start } = kernel.processes;
      return { release: stdout.trim(), run, start, close, cutPower, [Symbol.asyncDispose]: close };
    } catch (thrown) {
      await child.stop("SIGKILL");
      throw thrown;
    }
  } catch (thrown) {
    await folder.remove();
    throw thrown;
  }
}

async function buildPreload(folder: string): Promise<string> {
  const library = join(folder, "xstate-ptrace.so");
  const source = fileURLToPath(new URL("./xstate-ptrace.c", import.meta.url));
  await runCommand("cc", ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  return library;
}

/** The kernel's command line can't quote, so what it names lies under a path of ours. */
function layOut(folder: string, prepare: string | undefined): void {
  const own = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  copyFileSync(own("./init.sh"), join(folder, "init"));
  if (prepare !== undefined) {
    writeFileSync(join(folder, "prepare"), prepare);
    cpSync(own("./units"), join(folder, "units"), { recursive: true });
  }
  const main = own("./guest-main.ts");
  writeFileSync(
    join(folder, "guest"),
    `guest_node=${quoted(process.execPath)}\nguest_main=${quoted(main)}\n`,
  );
  mkdirSync(join(folder, "uml"));
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function kernelArguments(folder: string, memoryMib: number, parameters: readonly string[]): string[] {
  return [
    ...[`mem=${memoryMib}M`, "rootfstype=hostfs", "rootflags=/", "ro"],
    ...[`uml_dir=${folder}/uml`, "umid=k"],
    // what the kernel says goes to stderr, the agent's line is stdin and stdout; no other terminals
    ...["con=null", "con0=null,fd:2", "ssl=null", "ssl0=fd:0,fd:1"],
    ...[...parameters, "panic=-1", "init=/bin/sh", "--", `${folder}/init`],
  ];
}

interface Attached {
  processes: GuestProcesses;
  send(order: Order): void;
  ready(timeoutMs: number): Promise<void>;
}

/** Talks with the agent in it. */
function attach(child: GuardedChild): Attached {
  const lastWords: string[] = [];
  const flow = flowInto(child.stdin);
  const send = (order: Order) => flow.send(`${JSON.stringify(order)}\n`);
  const processes = guestProcesses(send);
  const readiness = Promise.withResolvers<void>();
  readiness.promise.catch(() => {}); // whoever waits for it is told

  function hear(line: string): void {
    const at = line.indexOf(REPORT_MARK);
    if (at < 0) {
      remember(line);
      return;
    }
    const said: Report = report.parse(JSON.parse(line.slice(at + REPORT_MARK.length)));
    if (said.is === "ready") readiness.resolve();
    else if (said.is === "taken") flow.taken(said.bytes);
    else processes.hear(said);
  }

  function remember(line: string): void {
    if (line.trim() === "") return;
    lastWords.push(line.trim());
    if (lastWords.length > LAST_LINES) lastWords.shift();
  }

  splitLines(child.stdout, hear);
  splitLines(child.stderr, remember);
  void child.exited.then(({ text }) => {
    const gone = new Error(`the stock kernel is gone: ${text}; its last words: ${lastWords.join(" | ")}`);
    readiness.reject(gone);
    processes.fail(gone);
  });

  async function ready(timeoutMs: number): Promise<void> {
    const late = setTimeout(() => {
      readiness.reject(
        new Error(`the stock kernel wasn't up in ${timeoutMs} ms; its last words: ${lastWords.join(" | ")}`),
      );
    }, timeoutMs);
    await readiness.promise.finally(() => clearTimeout(late));
  }

  return { processes, send, ready };
}
