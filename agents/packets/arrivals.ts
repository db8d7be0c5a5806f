import { readFile } from "node:fs/promises";
import type { RehearsalNamespace } from "../exec/rehearsal-namespace.ts";
import type { Packet } from "./packet.ts";

/**
 * How many packets of a protocol the kernel has handed on in a namespace: its own counters, behind every rule. At a far
 * end, what came for an address that isn't there is counted too: a rule of the server's may have changed it.
 */
export async function arrivals(at: RehearsalNamespace, { family, protocol, hook }: Packet): Promise<number> {
  const counters = new Map([
    ...parsePairs(await readFile(`/proc/${at.pid}/net/snmp`, "utf8")),
    ...(family === 6 ? parseLines(await readFile(`/proc/${at.pid}/net/snmp6`, "utf8")) : []),
  ]);
  const names = [...COUNTERS[family][protocol], ...(hook === "input" ? [] : ELSEWHERE[family])];
  return names.reduce((sum, name) => sum + (counters.get(name) ?? 0), 0);
}

const COUNTERS: Readonly<Record<4 | 6, Readonly<Record<Packet["protocol"], readonly string[]>>>> = {
  4: { tcp: ["TcpInSegs"], udp: ["UdpInDatagrams", "UdpNoPorts"], icmp: ["IcmpInEchos"] },
  6: { tcp: ["TcpInSegs"], udp: ["Udp6InDatagrams", "Udp6NoPorts"], icmp: ["Icmp6InEchos"] },
};
const ELSEWHERE: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ["IpInAddrErrors"],
  6: ["Ip6InAddrErrors"],
};

/** `Tcp: InSegs OutSegs` above `Tcp: 12 9` */
function parsePairs(text: string): [string, number][] {
  const lines = text.split("\n").map((line) => line.split(" "));
  return lines.flatMap(([group = "", ...names], index) => {
    const [same, ...values] = lines[index + 1] ?? [];
    if (same !== group || index % 2 === 1) return [];
    return names.map((name, at): [string, number] => [group.replace(":", "") + name, Number(values[at])]);
  });
}

function parseLines(text: string): [string, number][] {
  return text.split("\n").map((line) => {
    const [name = "", value] = line.split(/\s+/);
    return [name, Number(value)];
  });
}
