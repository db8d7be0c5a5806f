import { controlSet, FAMILIES, listSet, protectSet } from "@sluice/proto/base/names";
import { EMPTY_MANIFEST, type Manifest, type ManifestRule } from "@sluice/proto/manifest/manifest";

/** A small firewall of both families, a set, and a shaped device: one of each kind of object. */
export function firewall(options: { port?: number; rate?: string; office?: string[] } = {}): Manifest {
  const { port = 22, rate = "1mbit", office = ["192.0.2.0/24", "198.51.100.7"] } = options;
  const origin = { policy: "web", revision: 1, line: 7 };
  return {
    ...EMPTY_MANIFEST,
    policies: [{ policy: "web", revision: 1 }],
    sets: [{ name: "sl-web-office-hn4", type: "hash:net", family: 4, options: [], entries: office, origin }],
    chains: ([4, 6] as const).flatMap((family) => [
      {
        family,
        table: "filter" as const,
        name: "SL-INPUT",
        rules: [
          rule("-i lo -j ACCEPT"),
          rule(`-m set --match-set ${protectSet(family)} src -j ACCEPT`),
          rule(`-p tcp -m set --match-set ${controlSet(family)} src,src -j ACCEPT`),
          { args: `-p tcp --dport ${port} -j SL-web-ssh`, origin },
          ...(family === 4 ? [rule("-m set --match-set sl-web-office-hn4 src -j ACCEPT")] : []),
        ],
      },
      {
        family,
        table: "filter" as const,
        name: "SL-web-ssh",
        rules: [rule("-m limit --limit 60/minute -j ACCEPT"), rule("-j DROP")],
      },
    ]),
    hooks: ([4, 6] as const).map((family) => ({
      family,
      table: "filter" as const,
      hook: "INPUT" as const,
      chain: "SL-INPUT",
      at: "head" as const,
    })),
    devices: [
      {
        device: "eth0",
        egress: {
          qdiscs: [{ parent: "root", handle: "1:", kind: "htb", args: ["default", "20", "r2q", "10"] }],
          classes: [
            { parent: "1:", classid: "1:10", kind: "htb", args: htb("200kbit") },
            { parent: "1:", classid: "1:20", kind: "htb", args: htb(rate) },
          ],
          filters: [],
        },
      },
    ],
    deadlineMs: 10_000,
  };
}

/** Drops what is on the list `bans`, of both families. */
export function blocking(options: Parameters<typeof firewall>[0] = {}): Manifest {
  const manifest = firewall(options);
  return {
    ...manifest,
    lists: [{ list: "bans", sets: FAMILIES.map((family) => ({ name: listSet("bans", family), family })) }],
    chains: manifest.chains.map((chain) =>
      chain.name === "SL-INPUT"
        ? {
            ...chain,
            rules: [...chain.rules, rule(`-m set --match-set ${listSet("bans", chain.family)} src -j DROP`)],
          }
        : chain,
    ),
  };
}

/** The same, with a rule that no kernel takes. */
export function refusedFirewall(): Manifest {
  const manifest = firewall();
  const [chain, ...others] = manifest.chains;
  if (chain === undefined) throw new Error("no chain");
  const bad = {
    args: "-m set --match-set nobody src -j DROP",
    origin: { policy: "web", revision: 2, line: 42 },
  };
  return { ...manifest, chains: [{ ...chain, rules: [...chain.rules, bad] }, ...others] };
}

function htb(rate: string): string[] {
  return ["rate", rate, "ceil", rate, "burst", "15k", "cburst", "15k", "quantum", "1514"];
}

function rule(args: string): ManifestRule {
  return { args };
}
