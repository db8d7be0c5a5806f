import { readFileSync } from "node:fs";

/** A process that can't be mistaken for a later one with the same number: start time in clock ticks since boot. */
export interface ProcessId {
  pid: number;
  startTime: string;
}

/** undefined: no such process, or one that is dead and not yet reaped. */
export function processIdOf(pid: number): ProcessId | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // the command's name may hold spaces and parentheses: the fields begin after the last one
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTime = fields[18];
  return state === "Z" || startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(id: ProcessId): boolean {
  return processIdOf(id.pid)?.startTime === id.startTime;
}

/** Changes with every boot. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Milliseconds since boot, suspended time included: the clock that nobody can set. */
export function uptimeMs(): number {
  return Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000);
}
