import type { Family } from "@sluice/proto/base/names";
import type { Capabilities } from "@sluice/proto/manifest/facts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import { iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";

export type IptablesAbilities = Pick<
  Capabilities,
  "iptables" | "ipv6" | "recentMaxHits" | "recentListSize" | "targets"
>;

/** The limits that kernels have had: 20 (before 3.19), 255, 65,535 (from about 6.11); distributions set others. */
const HIT_COUNTS = [65_535, 1000, 400, 255, 20];

/** Each in a table that takes it, with the arguments it can't do without. */
const TARGETS: Readonly<Record<string, { table: string; chain: string; rule: string }>> = {
  CLASSIFY: { table: "mangle", chain: "OUTPUT", rule: "-j CLASSIFY --set-class 1:10" },
  CONNMARK: { table: "mangle", chain: "OUTPUT", rule: "-j CONNMARK --save-mark" },
  CT: { table: "raw", chain: "PREROUTING", rule: "-j CT --notrack" },
  DNAT: { table: "nat", chain: "PREROUTING", rule: "-p tcp -j DNAT --to-destination 192.0.2.1" },
  LOG: { table: "filter", chain: "INPUT", rule: "-j LOG --log-prefix slprobe" },
  MARK: { table: "mangle", chain: "OUTPUT", rule: "-j MARK --set-mark 1" },
  MASQUERADE: { table: "nat", chain: "POSTROUTING", rule: "-j MASQUERADE" },
  NFLOG: { table: "filter", chain: "INPUT", rule: "-j NFLOG --nflog-group 1" },
  REDIRECT: { table: "nat", chain: "PREROUTING", rule: "-p tcp -j REDIRECT --to-ports 1" },
  REJECT: { table: "filter", chain: "INPUT", rule: "-j REJECT" },
  SET: { table: "filter", chain: "INPUT", rule: "-j SET --add-set slprobe src" },
  SNAT: { table: "nat", chain: "POSTROUTING", rule: "-j SNAT --to-source 192.0.2.1" },
  TCPMSS: {
    table: "mangle",
    chain: "FORWARD",
    rule: "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
  },
  TPROXY: { table: "mangle", chain: "PREROUTING", rule: "-p tcp -j TPROXY --on-port 1" },
};

/**
 * In the backend of the plain `iptables`; where the kernel was built without that one's tables, and takes rules in the
 * other, in the other. What the tool is built for says nothing of the kernel, and it lists empty chains either way.
 */
export async function probeIptables(room: Namespace): Promise<IptablesAbilities> {
  // SET needs a set to stand; where ipset is missing the target is of no use either
  await room.run("ipset", ["create", "slprobe", "hash:ip"]).catch(() => undefined);
  const plain = await readVersion(room, "iptables");
  if (plain === undefined) throw new Error("iptables --version isn't understood");
  const found = await probeBackend(room, plain);
  if (takesRules(found)) return found;
  const other = await readVersion(room, plain.backend === "nft" ? "iptables-legacy" : "iptables-nft");
  const second = other && (await probeBackend(room, other));
  return second && takesRules(second) ? second : found;
}

function takesRules({ ipv6, targets, recentMaxHits }: IptablesAbilities): boolean {
  return ipv6 || targets.length > 0 || recentMaxHits > 0;
}

async function probeBackend(
  room: Namespace,
  iptables: IptablesAbilities["iptables"],
): Promise<IptablesAbilities> {
  const tries = (family: Family, rules: readonly Rule[]) => takes(room, iptables.backend, family, rules);
  const [ipv6, recentMaxHits, targets] = await Promise.all([
    tries(6, [{ table: "filter", chain: "INPUT", rule: "-s 2001:db8::1 -j DROP" }]),
    firstTaken(HIT_COUNTS, (hits) => tries(4, [recentRule(hits)])),
    takenTargets((rules) => tries(4, rules)),
  ]);
  const recentListSize = await readListSize(room); // its module is there by now
  return {
    ...{ iptables, ipv6, recentMaxHits: recentMaxHits ?? 0, targets },
    ...(recentListSize && { recentListSize }),
  };
}

async function readListSize(room: Namespace): Promise<number | undefined> {
  const said = await room.run("cat", ["/sys/module/xt_recent/parameters/ip_list_tot"]).catch(() => undefined);
  const size = Number(said?.stdout.trim() || Number.NaN);
  return size > 0 ? size : undefined;
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was only legacy, and it said nothing of it */
export function parseVersion(text: string): { version: string; backend: IptablesBackend } | undefined {
  const match = /^ip6?tables v(\S+)(?:\s+\((nf_tables|legacy)\))?/.exec(text);
  if (match?.[1] === undefined) return undefined;
  return { version: match[1], backend: match[2] === "nf_tables" ? "nft" : "legacy" };
}

interface Rule {
  table: string;
  chain: string;
  rule: string;
}

async function readVersion(
  room: Namespace,
  command: string,
): Promise<IptablesAbilities["iptables"] | undefined> {
  const said = await room.run(command, ["--version"]).catch(() => undefined);
  return said && parseVersion(said.stdout);
}

function recentRule(hits: number): Rule {
  const rule = `-m recent --name slprobe${hits} --rcheck --seconds 60 --hitcount ${hits} -j DROP`;
  return { table: "filter", chain: "INPUT", rule };
}

/** All in one commit, which is nearly always taken; one by one only where it isn't. */
async function takenTargets(tries: (rules: readonly Rule[]) => Promise<boolean>): Promise<string[]> {
  const all = Object.entries(TARGETS);
  if (await tries(all.map(([, rule]) => rule))) return all.map(([name]) => name).sort();
  const taken = await Promise.all(all.map(async ([name, rule]) => ((await tries([rule])) ? [name] : [])));
  return taken.flat().sort();
}

async function firstTaken<T>(
  choices: readonly T[],
  isTaken: (one: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const one of choices) if (await isTaken(one)) return one;
  return undefined;
}

async function takes(
  room: Namespace,
  backend: IptablesBackend,
  family: Family,
  rules: readonly Rule[],
): Promise<boolean> {
  const tables = Map.groupBy(rules, (one) => one.table);
  const input = [...tables].map(([table, some]) => {
    const lines = some.map(({ chain, rule }) => `-A ${chain} ${rule}`);
    return `*${table}\n${lines.join("\n")}\nCOMMIT\n`;
  });
  const tool = iptablesTool(backend, family, "restore");
  // probes wait for each other's lock, and for the modules they load: that is no refusal; and a machine without
  // ip6tables has no IPv6 rules to offer
  const result = await room
    .run(tool, ["--noflush", "-w", "20"], { input: input.join("") })
    .catch(() => undefined);
  return result?.code === 0;
}
