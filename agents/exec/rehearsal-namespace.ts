import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import type { ChildHandle, Namespace } from "./namespace.ts";
import { readProcNet } from "./proc-net.ts";
import { runProcess, spawnProcess } from "./process.ts";

/**
 * A network namespace to be thrown away: whatever is done in it, the live one doesn't see.
 *
 * 1. It lives as long as its holder, a `cat` that ends when the agent closes its stdin, or dies.
 * 2. It takes the xtables lock in a file of its own: the usual one is shared by all namespaces of the machine, and a
 *    stuck rehearsal would block the live one.
 * 3. `lo` is up, nothing else is there.
 */
export interface RehearsalNamespace extends Namespace {
  readonly throwAway: true;
  /** of the process that holds it: `/proc/PID/ns/net` */
  readonly pid: number;
  /** Ends the holder and every command still running in it, and waits for them. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

let opened = 0;

export async function openRehearsal(): Promise<RehearsalNamespace> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-rehearsal-"));
  const options = { env: { XTABLES_LOCKFILE: join(folder, "xtables.lock") } };
  const holder = spawnProcess("setpriv", ["--pdeathsig", "KILL", "unshare", "--net", "cat"], options);
  const children = new Set<ChildHandle>();
  const enter = (command: string, args: readonly string[]) => [
    `--net=/proc/${holder.pid}/ns/net`,
    command,
    ...args,
  ];

  async function close(): Promise<void> {
    const running = [...children, holder];
    for (const child of running) child.kill();
    await Promise.all(running.map((child) => child.exited));
    await rm(folder, { recursive: true, force: true });
  }

  const rehearsal: RehearsalNamespace = {
    name: `rehearsal-${process.pid}-${++opened}`,
    throwAway: true,
    pid: holder.pid,
    run: (command, args, run) => runProcess("nsenter", enter(command, args), options, run),
    readNet: (file, heard) => readProcNet(`/proc/${holder.pid}/net/${file}`, heard),
    spawn(command, args) {
      const child = spawnProcess("nsenter", enter(command, args), options);
      children.add(child);
      void child.exited.then(() => children.delete(child));
      return child;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  try {
    await echoes(holder);
    const up = await rehearsal.run("ip", ["link", "set", "lo", "up"]);
    if (up.code !== 0) throw cannotOpen(up.stderr);
    return rehearsal;
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** `cat` runs only once `unshare` has made the namespace: when it answers, the namespace is there. */
async function echoes(holder: ChildHandle): Promise<void> {
  const complaints: string[] = [];
  const answered = new Promise<true>((resolve) => {
    holder.onLine((stream, line) => {
      if (stream === "stdout") resolve(true);
      else complaints.push(line);
    });
  });
  holder.write("\n");
  const result = await Promise.race([answered, holder.exited]);
  if (result !== true) throw cannotOpen(complaints.join("; "));
}

function cannotOpen(reason: string): SluiceError {
  return new SluiceError("UNAVAILABLE", `a network namespace can't be opened: ${reason.trim()}`, {
    cure: "run as root, with the right to make network namespaces (CAP_SYS_ADMIN)",
  });
}
