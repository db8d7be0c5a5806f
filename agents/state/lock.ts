import { linkSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { isAlive, type ProcessId, processIdOf } from "./process-id.ts";

const RUN_FOLDER = "/run/sluice";

export interface StateLock {
  release(): void;
}

/**
 * One agent per state folder. The file names its holder by pid and start time, so what a killed agent left behind is
 * taken over. Throws CONFLICT while the holder lives.
 */
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
  const claim = `${path}.${mine.pid}`;
  writeClaim(claim, `${mine.pid} ${mine.startTime}\n`);
  try {
    for (let tries = 0; ; tries += 1) {
      if (tryLink(claim, path)) return { release: () => rmSync(path, { force: true }) };
      const holder = holderOf(path);
      if (holder !== undefined || tries > 2) {
        const [reason, cure] = conflict(String(holder?.pid ?? "?"));
        throw new SluiceError("CONFLICT", reason, { cure });
      }
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(claim, { force: true });
  }
}

/** The first that an agent writes: where even this can't be, nothing would be kept. */
function writeClaim(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    throw new SluiceError("UNAVAILABLE", `${dirname(path)} can't be written: ${messageOf(error)}`, {
      cure: "make it writable: until then what the kernel holds stays as it is",
    });
  }
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

/** A link is made or it isn't, also when two try at once. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}
