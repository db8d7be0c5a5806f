import type { Target, TargetSet } from "@sluice/agents/drivers/driver";
import { testMembers } from "@sluice/agents/lists/test-members";
import { FAMILIES, type Family, headChain, policyChain, policySet } from "@sluice/proto/base/names";
import type { ManifestChain, ManifestDevice, ManifestHook } from "@sluice/proto/manifest/manifest";

/** What the drivers are given to do. The same every time: no randomness that isn't counted up from the index. */
export const NOTHING: Target = {
  sets: [],
  chains: [],
  hooks: [],
  devices: [],
  external: { chains: [], sets: [] },
};

/** `count` distinct IPv4 addresses, scattered as those of a blocklist are. */
export function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    // an odd factor modulo a power of two: no address comes twice
    const scattered = (index * 2_654_435_761) % 2 ** 27;
    const bytes = [
      1 + (scattered >>> 24),
      (scattered >>> 16) & 255,
      (scattered >>> 8) & 255,
      scattered & 255,
    ];
    return bytes.join(".");
  });
}

export function setOf(count: number, use: "policy" | "list" = "policy"): TargetSet {
  const name = policySet("bench", "many", "hash:net", 4);
  const set = { name, type: "hash:net", family: 4, options: [], use } as const;
  if (use === "policy") return { ...set, entries: addresses(count) };
  return { ...set, options: ["timeout", "0"], entries: [], live: testMembers(addresses(count)).live };
}

const RULES_PER_CHAIN = 100;

/**
 * `count` rules of each family, a hundred to a chain, all reached from INPUT. `changed` gives one rule in their midst
 * another port.
 */
export function rulesOf(count: number, changed = false, families: readonly Family[] = FAMILIES): Target {
  const chains: ManifestChain[] = [];
  const hooks: ManifestHook[] = [];
  for (const family of families) {
    const names = Array.from({ length: Math.ceil(count / RULES_PER_CHAIN) }, (_, index) =>
      policyChain("bench", `part${index}`),
    );
    const head = headChain("INPUT");
    chains.push(
      chain(
        family,
        head,
        names.map((name) => `-j ${name}`),
      ),
    );
    for (const [part, name] of names.entries()) {
      const first = part * RULES_PER_CHAIN;
      const length = Math.min(RULES_PER_CHAIN, count - first);
      const rules = Array.from({ length }, (_, index) => rule(family, first + index));
      if (changed && family === 4 && part === names.length >> 1)
        rules[length >> 1] = "-p tcp --dport 65000 -j DROP";
      chains.push(chain(family, name, rules));
    }
    hooks.push({ family, table: "filter", hook: "INPUT", chain: head, at: "head" });
  }
  return { ...NOTHING, chains, hooks };
}

function chain(family: Family, name: string, rules: readonly string[]): ManifestChain {
  return { family, table: "filter", name, rules: rules.map((args) => ({ args })) };
}

/** What policies are made of: addresses, ports, state, limits. */
function rule(family: Family, n: number): string {
  const source = family === 4 ? `198.18.${n >> 8}.${n & 255}` : `2001:db8::${(n + 1).toString(16)}`;
  switch (n % 4) {
    case 0:
      return `-s ${source} -j DROP`;
    case 1:
      return `-s ${source} -p tcp --dport ${1024 + n} -j ACCEPT`;
    case 2:
      return `-p udp -m multiport --dports ${1024 + n},${3000 + n} -j DROP`;
    default:
      return `-s ${source} -p tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT`;
  }
}

/** An HTB tree of `count` leaf classes on one device, each fed by a filter of its own. */
export function classesOf(device: string, count: number): ManifestDevice {
  const ids = Array.from({ length: count }, (_, index) => (0x10 + index).toString(16));
  return {
    device,
    egress: {
      qdiscs: [{ parent: "root", handle: "1:", kind: "htb", args: ["default", ids[0] ?? "10"] }],
      classes: ids.map((id) => ({
        parent: "1:",
        classid: `1:${id}`,
        kind: "htb",
        args: "rate 1mbit ceil 1mbit burst 1600 cburst 1600 quantum 1514".split(" "),
      })),
      filters: ids.map((id, index) => ({
        parent: "1:",
        protocol: "ip",
        prio: 1,
        handle: `800::${(index + 1).toString(16)}`,
        kind: "u32",
        args: `match ip sport ${8000 + index} 0xffff flowid 1:${id}`.split(" "),
      })),
    },
  };
}
