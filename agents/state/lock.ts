import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { isAlive, type ProcessId, processIdOf } from "./process-id.ts";

export interface StateLock {
  release(): void;
}

/**
 * One agent per state folder. The file names its holder by pid and start time, so what a killed agent left behind is
 * taken over. Throws CONFLICT while the holder lives.
 */
export function lockState(folder: string): StateLock {
  const path = join(folder, "lock");
  const mine = processIdOf(process.pid);
  if (mine === undefined) throw new SluiceError("INTERNAL", "/proc doesn't show this process");
  const claim = `${path}.${mine.pid}`;
  writeFileSync(claim, `${mine.pid} ${mine.startTime}\n`, { mode: 0o600 });
  try {
    for (let tries = 0; ; tries += 1) {
      if (tryLink(claim, path)) return { release: () => rmSync(path, { force: true }) };
      const holder = lockHolder(folder);
      if (holder !== undefined || tries > 2)
        throw new SluiceError("CONFLICT", `another agent (pid ${holder?.pid ?? "?"}) uses ${folder}`, {
          cure: "stop it first, or give this one a state folder of its own: --state DIR",
        });
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(claim, { force: true });
  }
}

/** The living agent that holds the folder. */
export function lockHolder(folder: string): ProcessId | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, "lock"), "utf8");
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
