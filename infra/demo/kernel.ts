import { execIn } from "../net/namespace.ts";

/** What a server's kernel says, read with the tools everybody uses. */

/** Bytes that an HTB class has sent, from `tc -s class show`. */
export async function classBytes(namespace: string, device: string, classid: string): Promise<number> {
  const text = await execIn(namespace, "tc", ["-s", "class", "show", "dev", device]);
  const after = text.split(`class htb ${classid} `)[1] ?? "";
  const sent = /Sent (\d+) bytes/.exec(after);
  if (sent === null) throw new Error(`no class ${classid} on ${device} in ${namespace}`);
  return Number(sent[1]);
}

export interface RuleCounter {
  packets: number;
  bytes: number;
  rule: string;
}

/** Counters of each rule of a table that mentions `text`, from `iptables-save -c`. */
export async function ruleCounters(
  namespace: string,
  table: string,
  text: string,
  command = "iptables-save",
): Promise<RuleCounter[]> {
  const saved = await execIn(namespace, command, ["-c", "-t", table]);
  return saved
    .split("\n")
    .map((line) => /^\[(\d+):(\d+)\] (-A .*)$/.exec(line))
    .filter((match) => match?.[3]?.includes(text))
    .map((match) => ({ packets: Number(match?.[1]), bytes: Number(match?.[2]), rule: match?.[3] ?? "" }));
}

export async function packetsOf(
  namespace: string,
  table: string,
  text: string,
  command?: string,
): Promise<number> {
  const counters = await ruleCounters(namespace, table, text, command);
  return counters.reduce((sum, { packets }) => sum + packets, 0);
}

/** The number of entries in a set, from its header. */
export async function setEntries(namespace: string, set: string): Promise<number> {
  const header = await execIn(namespace, "ipset", ["list", "-t", set]);
  return Number(/Number of entries: (\d+)/.exec(header)?.[1] ?? Number.NaN);
}
