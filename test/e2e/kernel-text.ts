import type { IptablesBackend } from "@sluice/infra/lab/iptables-tools";
import { execIn } from "@sluice/infra/net/namespace";

const TC = [
  "tc qdisc show",
  "tc class show dev eth0",
  "tc filter show dev eth0",
  "ip -br link show type ifb",
];

/**
 * All of a server's iptables, ipset and tc, both families, as text that can be compared: without what differs by itself
 * (counters, dates, the kernel's own numbers, the order of sets) and without tables that hold nothing.
 */
export async function kernelText(namespace: string, backend: IptablesBackend): Promise<string> {
  const saves = [`iptables-${backend}-save`, `ip6tables-${backend}-save`];
  const script = [...saves, "ipset save", ...TC].join("; ");
  const text = await execIn(namespace, "sh", ["-c", script]);
  const lines = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map(withoutNumbers);
  const isOfSet = (line: string) => /^(create|add) /.test(line);
  const rest = lines.filter((line) => !isOfSet(line)).join("\n");
  const sets = lines.filter(isOfSet).sort().join("\n");
  return `${rest.replace(/\*\w+\n(:[A-Z]+ ACCEPT \[0:0\]\n)+COMMIT\n/g, "")}\n${sets}`;
}

function withoutNumbers(line: string): string {
  return line
    .replace(/\[\d+:\d+\]/, "[0:0]")
    .replace(/ (initval|hashsize|bucketsize) \S+/g, "")
    .replace(/refcnt \d+ /, "");
}
