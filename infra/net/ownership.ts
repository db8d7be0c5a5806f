/**
 * Whose a namespace is. The mark stands in the namespace itself, as the alias of its `lo`: it can't be lost, and it is
 * gone with it. A namespace without a mark is somebody else's and never removed.
 */
import { readFileSync } from "node:fs";
import { tryCommand } from "../process/run-command.ts";

const markPattern = /sluice-fabric pid=(\d+) start=(\d+)/;

export type Ownership = "foreign" | "in use" | "abandoned";

/** The `ip -batch` line that marks a namespace as made by this process. */
export function markLine(): string {
  return `link set lo alias "sluice-fabric pid=${process.pid} start=${startTime(process.pid)}"`;
}

export async function ownershipOf(namespace: string): Promise<Ownership> {
  const { stdout } = await tryCommand("ip", ["-n", namespace, "-j", "link", "show", "lo"]);
  const found = markPattern.exec(stdout);
  if (!found) return "foreign";
  const [, pid, start] = found;
  return startTime(Number(pid)) === start ? "in use" : "abandoned";
}

/** When a process started, in clock ticks since boot; with the pid it names a process for good. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]; // the name before it may hold spaces
  } catch {
    return undefined;
  }
}
