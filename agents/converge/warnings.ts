import type { ManifestHook } from "@sluice/proto/manifest/manifest";
import type { Target } from "../drivers/driver.ts";
import { type IptablesSnapshot, tableKey } from "../drivers/iptables/snapshot.ts";
import type { Namespace } from "../exec/namespace.ts";

/** Worth a look before a change: what others keep beside ours, and in which order packets meet it. Read only. */
export type Warnings = (target: Target) => Promise<string[]>;

export function createWarnings(look: {
  at: Namespace;
  backend: "nft" | "legacy";
  iptables(target: Target): Promise<IptablesSnapshot>;
}): Warnings {
  return async (target) => {
    const [snapshot, other] = await Promise.all([look.iptables(target), otherBackend(look.at, look.backend)]);
    return [...other, ...target.hooks.flatMap((hook) => orderOf(hook, snapshot))];
  };
}

/** Rules that stand in the backend that the agent doesn't use still act, and nobody here sees them. */
async function otherBackend(at: Namespace, backend: "nft" | "legacy"): Promise<string[]> {
  if (backend === "nft") {
    const names = await at.run("cat", ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]);
    const tables = [...new Set(names.stdout.split("\n").filter((name) => name !== ""))];
    return tables.length === 0
      ? []
      : [`iptables-legacy has tables too (${tables.join(", ")}): their rules act as well`];
  }
  const listed = await at.run("nft", ["list", "tables"]).catch(() => undefined);
  const tables = listed?.stdout.split("\n").flatMap((line) => line.match(/^table (.+)$/)?.[1] ?? []) ?? [];
  return tables.length === 0
    ? []
    : [`nftables has tables too (${tables.join(", ")}): their rules act as well`];
}

/** Our head goes first and our tail last, so what is foreign stands between, or after the head alone. */
function orderOf({ family, table, hook, chain, at }: ManifestHook, { tables }: IptablesSnapshot): string[] {
  const standing = tables.get(tableKey(family, table))?.hooks.get(hook);
  const foreign = standing === undefined ? 0 : standing.rules - standing.jumps.length;
  if (foreign === 0) return [];
  const rules = foreign === 1 ? "1 rule that isn't ours" : `${foreign} rules that aren't ours`;
  const order = at === "head" ? `${chain}, then ${rules}` : `${rules}, then ${chain}`;
  const passes = at === "head" ? `: what ${chain} accepts or drops never gets there` : "";
  return [`${tableKey(family, table)} ${hook}: ${order}${passes}`];
}
