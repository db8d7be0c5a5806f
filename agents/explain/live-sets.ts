import { SET_TYPES } from "@sluice/proto/policy/set-types";
import { parseList } from "../drivers/ipset/parse.ts";
import type { SetSnapshot } from "../drivers/ipset/snapshot.ts";
import type { Namespace } from "../exec/namespace.ts";
import type { Packet } from "../packets/packet.ts";

/**
 * Live sets, as far as one packet is concerned: the sets by name and kind, and in each of them the one element that the
 * packet would be looked for as, if it is there. A million others stay where they are.
 */
export interface LiveSets {
  /** for `ipset restore` */
  lines: string[];
  /** sets of which it can't be told, and why */
  untold: Map<string, string>;
}

/** A set and by which of the packet's ends a rule looks into it: `src`, `dst,dst`. */
export interface SetUse {
  set: string;
  flags: string;
}

export async function readLiveSets(
  live: Namespace,
  uses: readonly SetUse[],
  packet: Packet,
): Promise<LiveSets> {
  const copied: LiveSets = { lines: [], untold: new Map() };
  if (uses.length === 0) return copied;
  const { stdout } = await live.run("ipset", ["list", "-t"]);
  const known = new Map(parseList(stdout).map((set) => [set.name, set]));
  const created = new Set<string>();

  function create(set: SetSnapshot): void {
    if (created.has(set.name)) return;
    created.add(set.name);
    const family = set.family === null ? [] : ["family", set.family === 4 ? "inet" : "inet6"];
    copied.lines.push(["create", set.name, set.type, ...family, ...set.options].join(" "));
  }

  async function copy({ set: name, flags }: SetUse): Promise<void> {
    const set = known.get(name);
    if (set === undefined) return;
    if (set.type === "list:set") return await copyList(set, flags);
    create(set);
    const element = elementOf(set.type, flags.split(","), packet);
    if (element === undefined)
      copied.untold.set(name, `the set ${name} (${set.type}, of more than the packet tells)`);
    else if ((await live.run("ipset", ["-q", "test", name, element])).code === 0)
      copied.lines.push(`add ${name} ${element}`);
  }

  async function copyList(list: SetSnapshot, flags: string): Promise<void> {
    const listed = await live.run("ipset", ["list", list.name]);
    const members = parseList(listed.stdout)[0]?.members?.lasting ?? [];
    for (const member of members) await copy({ set: member, flags });
    create(list);
    for (const member of members) if (created.has(member)) copied.lines.push(`add ${list.name} ${member}`);
    const untold = members.map((member) => copied.untold.get(member)).find((why) => why !== undefined);
    if (untold !== undefined) copied.untold.set(list.name, untold);
  }

  for (const use of uses) await copy(use);
  return { ...copied, lines: [...new Set(copied.lines)] };
}

/** The packet as an element of a set; undefined where a part isn't known. */
export function elementOf(type: string, flags: readonly string[], packet: Packet): string | undefined {
  const parts = SET_TYPES.get(type)?.parts ?? [];
  const { from, to, via, out, hook } = packet;
  const found = parts.map((part, index): string | undefined => {
    const isSource = flags[index] === "src";
    switch (part) {
      case "ip":
      case "net":
        return isSource ? from : to;
      case "iface":
        return isSource ? (hook === "output" ? undefined : via) : hook === "output" ? via : out;
      case "port":
        return portOf(type, isSource, packet);
      default:
        return undefined;
    }
  });
  return found.length === 0 || found.includes(undefined) ? undefined : found.join(",");
}

function portOf(
  type: string,
  isSource: boolean,
  { protocol, family, port, fromPort }: Packet,
): string | undefined {
  if (protocol === "icmp")
    return type === "bitmap:port" ? undefined : family === 4 ? "icmp:echo-request" : "icmpv6:echo-request";
  const number = isSource ? fromPort : port;
  if (number === undefined) return undefined;
  return type === "bitmap:port" ? String(number) : `${protocol}:${number}`;
}
