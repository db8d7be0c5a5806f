/**
 * Whose a namespace is. The mark stands in the namespace itself, as the alias of its `lo`: it can't be lost, and it is
 * gone with it. A namespace without a mark is somebody else's and never removed.
 */
import { tryCommand } from "../process/run-command.ts";
import { startTimeOf } from "../process/start-time.ts";

const markPattern = /sluice-fabric pid=(\d+) start=(\d+)/;

export type Ownership = "foreign" | "in use" | "abandoned";

/** The `ip -batch` line that marks a namespace as made by this process. */
export function markLine(): string {
  return `link set lo alias "sluice-fabric pid=${process.pid} start=${startTimeOf(process.pid)}"`;
}

export async function ownershipOf(namespace: string): Promise<Ownership> {
  const { stdout } = await tryCommand("ip", ["-n", namespace, "-j", "link", "show", "lo"]);
  const found = markPattern.exec(stdout);
  if (!found) return "foreign";
  const [, pid, start] = found;
  return startTimeOf(Number(pid)) === start ? "in use" : "abandoned";
}
