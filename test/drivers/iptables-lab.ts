import type { Driver, Script, Target } from "@sluice/agents/drivers/driver";
import type { IptablesSnapshot } from "@sluice/agents/drivers/iptables/snapshot";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { FAMILIES, type Family } from "@sluice/proto/base/names";
import type { ManifestChain, ManifestHook, TableName } from "@sluice/proto/manifest/manifest";

export const ORIGIN = { policy: "web-edge", revision: 4, line: 17 };

interface Spec {
  chains: Record<string, readonly string[]>;
  hooks?: readonly Omit<ManifestHook, "family" | "table">[];
}

/** The same in both families, unless one is named. */
export function target(
  tables: Partial<Record<TableName, Spec>>,
  families: readonly Family[] = FAMILIES,
): Target {
  const chains: ManifestChain[] = [];
  const hooks: ManifestHook[] = [];
  for (const family of families) {
    for (const table of ["raw", "mangle", "nat", "filter"] as const) {
      for (const [name, rules] of Object.entries(tables[table]?.chains ?? {})) {
        chains.push({
          family,
          table,
          name,
          rules: rules.map((args, n) => ({ args, origin: { ...ORIGIN, line: 10 + n } })),
        });
      }
      for (const hook of tables[table]?.hooks ?? []) hooks.push({ family, table, ...hook });
    }
  }
  return { sets: [], chains, hooks, devices: [], external: { chains: [], sets: [] } };
}

export const EMPTY = target({});
export const WHOLE = target({
  raw: {
    chains: { "SL-PREROUTING": ["-i lo -j RETURN", "-p tcp --dport 9 -j DROP"] },
    hooks: [{ hook: "PREROUTING", chain: "SL-PREROUTING", at: "head" }],
  },
  mangle: {
    chains: { "SL-OUTPUT": ["-p tcp --sport 80 -j MARK --set-mark 80"] },
    hooks: [{ hook: "OUTPUT", chain: "SL-OUTPUT", at: "head" }],
  },
  nat: {
    chains: { "SL-POSTROUTING": ["-o eth9 -j MASQUERADE"] },
    hooks: [{ hook: "POSTROUTING", chain: "SL-POSTROUTING", at: "tail" }],
  },
  filter: {
    chains: {
      "SL-INPUT": [
        "-i lo -j SL-web-lo",
        "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-p tcp --dport 22 -j SL-web-ssh",
      ],
      "SL-web-lo": ['-m comment --comment "all of \\"lo\\""'],
      "SL-web-ssh": ["-m limit --limit 60/minute --limit-burst 5 -j ACCEPT", "-j DROP"],
      "SL-INPUT-end": ["-p udp -m multiport --dports 1:5,9 -j DROP"],
    },
    hooks: [
      { hook: "INPUT", chain: "SL-INPUT", at: "head" },
      { hook: "INPUT", chain: "SL-INPUT-end", at: "tail" },
    ],
  },
});

/** What an apply does, without its journal: build, then remove. */
export async function apply(
  driver: Driver<IptablesSnapshot>,
  at: RehearsalNamespace,
  wanted: Target,
  want?: IptablesSnapshot,
) {
  const steps = driver.render(wanted, want, await driver.read(at, wanted));
  const scripts: Script[] = [...steps.build, ...steps.remove];
  for (const script of scripts) await driver.write(at, script);
  return scripts;
}

/** What the kernel reads back of a target that was built from nothing. */
export async function expected(
  driver: Driver<IptablesSnapshot>,
  wanted: Target,
  open: () => Promise<RehearsalNamespace> = openRehearsal,
): Promise<IptablesSnapshot> {
  await using ns = await open();
  await apply(driver, ns, wanted);
  return await driver.read(ns, wanted); // before the namespace goes
}
