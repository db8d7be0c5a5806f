import type { Facts } from "@sluice/proto/manifest/facts";
import type { HookName, Manifest, TableName } from "@sluice/proto/manifest/manifest";
import type {
  HtbClass,
  PolicyDocument,
  PolicyGuard,
  PolicyRule,
  PolicySetDocument,
} from "@sluice/proto/policy/document";
import { splitWords } from "@sluice/proto/policy/rule-words";
import type { CompileInput } from "./input.ts";

/** Documents and facts for tests of compile, with everything that a test doesn't care about filled in. */
export function documentWith(parts: Partial<PolicyDocument> = {}): PolicyDocument {
  return {
    policy: "web-edge",
    description: "",
    targets: { servers: ["*"], labels: {} },
    vars: {},
    order: 100,
    sets: [],
    firewall: { defaults: [], chains: [] },
    blocks: [],
    guards: [],
    shaping: [],
    probes: [],
    reach: [],
    protect: [],
    external: { chains: [], sets: [] },
    tests: [],
    takeover: [],
    drift: "repair",
    deadlineMs: 30_000,
    ...parts,
  };
}

export function rule(text: string, parts: Partial<PolicyRule> = {}): PolicyRule {
  const split = splitWords(text);
  if (!split.ok) throw new TypeError(split.message);
  return { text, words: split.words.map((word) => word.text), line: 1, column: 1, ...parts };
}

export function chain(table: TableName, name: string, rules: readonly (string | PolicyRule)[], line = 1) {
  return {
    table,
    name,
    line,
    column: 5,
    rules: rules.map((one) => (typeof one === "string" ? rule(one) : one)),
  };
}

/** A policy that has nothing but chains. */
export function firewallOf(...chains: ReturnType<typeof chain>[]): Partial<PolicyDocument> {
  return { firewall: { defaults: [], chains } };
}

export function defaultOf(hook: HookName, verdict: "drop" | "reject" = "drop", log?: string) {
  return { hook, verdict, log, line: 1, column: 5 };
}

export function set(
  name: string,
  type: string,
  entries: readonly string[],
  options: readonly string[] = [],
): PolicySetDocument {
  return {
    name,
    type,
    options: [...options],
    entries: entries.map((text, index) => ({ text, line: 10 + index, column: 7 })),
    line: 9,
    column: 3,
  };
}

export function guardWith(parts: Partial<PolicyGuard> = {}): PolicyGuard {
  const limits = [
    [2, 20],
    [14, 200],
    [79, 2000],
    [399, 20_000],
  ] as const;
  return {
    name: "ssh",
    protocol: "tcp",
    ports: ["22"],
    limits: limits.map(([hits, seconds], index) => ({
      hits,
      withinMs: seconds * 1000,
      line: 20 + index,
      column: 7,
    })),
    ban: { forMs: 600_000, renew: true },
    line: 19,
    column: 3,
    ...parts,
  };
}

export function shapedClass(
  name: string,
  minor: number,
  kbit: number,
  parts: Partial<HtbClass> = {},
): HtbClass {
  return {
    name,
    minor,
    handle: minor,
    rateBitPerSec: kbit * 1000,
    ceilBitPerSec: kbit * 1000,
    mark: minor,
    isDefault: false,
    match: [],
    filters: [],
    children: [],
    line: 30,
    column: 7,
    ...parts,
  };
}

type CapabilityParts = Partial<Facts["capabilities"]>;

export function factsWith(
  capabilities: CapabilityParts = {},
  devices: readonly string[] = ["eth0", "lo"],
): Facts {
  return {
    hostname: "server-1",
    kernel: "6.1.0",
    os: "Debian 12",
    agent: "0.1.0",
    devices: devices.map((name) => ({ name, mtu: 1500, txQueueLength: 1000, addresses: [] })),
    capabilities: {
      iptables: { version: "1.8.9", backend: "nft" },
      ipv6: true,
      qdiscs: ["htb", "tbf", "pfifo", "bfifo", "sfq", "fq_codel"],
      filters: ["fw", "u32"],
      ifb: true,
      setTypes: ["hash:ip", "hash:net", "hash:ip,port", "hash:net,iface", "bitmap:port", "list:set"],
      recentMaxHits: 65_535,
      targets: ["CLASSIFY", "MARK", "LOG", "NFLOG"],
      ...capabilities,
    },
  };
}

export function inputWith(
  documents: readonly PolicyDocument[],
  parts: Partial<CompileInput> = {},
): CompileInput {
  return {
    assigned: documents.map((document) => ({ revision: 1, document })),
    server: { name: "server-1", labels: {} },
    facts: factsWith(),
    lists: { blocklist: { families: [4, 6] } },
    ...parts,
  };
}

/** One family's tables as iptables-restore would be given them, without the built-in chains. */
export function restoreText(manifest: Manifest, family: 4 | 6): string[] {
  return manifest.chains
    .filter((one) => one.family === family)
    .flatMap(({ table, name, rules }) => [`[${table} ${name}]`, ...rules.map(({ args }) => args)]);
}
