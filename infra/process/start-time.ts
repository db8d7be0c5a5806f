import { readFileSync } from "node:fs";

/** When a process started, in clock ticks since boot; with the pid it names a process for good. Undefined: there is none. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]; // the name before it may hold spaces
  } catch {
    return undefined;
  }
}
