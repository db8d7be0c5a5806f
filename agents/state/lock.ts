import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { runOnFile } from "../exec/process.ts";
import { isAlive, type ProcessId, processIdOf } from "./process-id.ts";

/**
 * Locks that two can't hold, however they start.
 *
 * 1. The kernel keeps the lock, on the open file: it ends with its holder, however that dies, so nobody has to judge
 *    whether a holder is dead, and two that come over a dead one are told apart by the kernel.
 * 2. The file goes with a release. Who then locks the file that was removed sees that it isn't the one of that name any
 *    more, and begins again.
 * 3. The text in the file is for those who only ask: the holder's pid and start time. It decides nothing here.
 */
const RUN_FOLDER = "/run/sluice";

/** what `flock` ends with where another holds it */
const HELD = 1;

export interface StateLock {
  release(): void;
}

/** One agent per state folder. Throws CONFLICT while another lives. */
export function lockState(folder: string): StateLock {
  return lockFile(stateLock(folder), (pid) => [
    `another agent (pid ${pid}) uses ${folder}`,
    "stop it first, or give this one a state folder of its own: --state DIR",
  ]);
}

/** One agent per kernel, whatever their folders: two would each undo what the other holds. */
export function lockKernel(): StateLock {
  mkdirSync(RUN_FOLDER, { recursive: true, mode: 0o700 });
  const namespace = readlinkSync("/proc/self/ns/net").replace(/\D/g, "");
  return lockFile(join(RUN_FOLDER, `net-${namespace}.lock`), (pid) => [
    `another agent (pid ${pid}) keeps this server's packet path already`,
    "stop it first: one server has one agent",
  ]);
}

/** The living agent that holds the folder. */
export function lockHolder(folder: string): ProcessId | undefined {
  return holderOf(stateLock(folder));
}

function stateLock(folder: string): string {
  return join(folder, "lock");
}

function lockFile(path: string, conflict: (pid: string) => [reason: string, cure: string]): StateLock {
  const mine = processIdOf(process.pid);
  if (mine === undefined) throw new SluiceError("INTERNAL", "/proc doesn't show this process");
  for (;;) {
    const file = open(path);
    try {
      if (!flock(file)) {
        const [reason, cure] = conflict(String(holderOf(path)?.pid ?? "not known yet"));
        throw new SluiceError("CONFLICT", reason, { cure });
      }
      if (isAt(path, file)) return held(path, file, mine);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    closeSync(file);
  }
}

function held(path: string, file: number, { pid, startTime }: ProcessId): StateLock {
  const text = `${pid} ${startTime}\n`;
  try {
    // over what a killed one wrote, so that it needs no room on a full disk
    writeSync(file, text, 0);
    ftruncateSync(file, text.length);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  return {
    release() {
      rmSync(path, { force: true });
      closeSync(file);
    },
  };
}

/** The first that an agent writes: where even this can't be, nothing would be kept. */
function open(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): SluiceError {
  return new SluiceError("UNAVAILABLE", `${dirname(path)} can't be written: ${messageOf(error)}`, {
    cure: "make it writable: until then what the kernel holds stays as it is",
  });
}

/** The lock is the open file's, which is ours: it stays when `flock` has ended. */
function flock(file: number): boolean {
  const { code, stderr } = runOnFile("flock", ["--exclusive", "--nonblock"], file);
  if (code === 0) return true;
  if (code === HELD) return false;
  throw new SluiceError("UNAVAILABLE", `flock ended with ${code}: ${stderr.trim()}`, {
    cure: "the state folder must be on a file system of this machine",
  });
}

function isAt(path: string, file: number): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const own = fstatSync(file);
  return now?.ino === own.ino && now.dev === own.dev;
}

function holderOf(path: string): ProcessId | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const [pid, startTime = ""] = text.trim().split(" ");
  const holder = { pid: Number(pid), startTime };
  return isAlive(holder) ? holder : undefined;
}
