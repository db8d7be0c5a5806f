import { tryCommand } from "../process/run-command.ts";
import type { Requests, Results } from "./station-protocol.ts";

/** ICMP echo, ten a second; each is waited for `timeoutMs` at most. */
export async function ping(input: Requests["ping"]): Promise<Results["ping"]> {
  const { to, count, timeoutMs } = input;
  const args = ["-n", "-q", "-c", String(count), "-i", "0.1", "-W", String(timeoutMs / 1000), to];
  const { stdout, stderr } = await tryCommand("ping", args, { timeoutMs: timeoutMs + count * 100 + 5000 });
  const found = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  if (!found) throw new Error(`ping ${to} said nothing of packets: ${(stderr || stdout).trim()}`);
  return { sent: Number(found[1]), received: Number(found[2]) };
}
