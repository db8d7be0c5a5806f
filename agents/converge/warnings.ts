import { FAMILIES } from "@sluice/proto/base/names";
import type { ManifestHook } from "@sluice/proto/manifest/manifest";
import type { Target } from "../drivers/driver.ts";
import { standingTables } from "../drivers/iptables/leftovers.ts";
import { type IptablesSnapshot, leftoverKey, tableKey } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";

/** Worth a look before a change: what others keep beside ours, and in which order packets meet it. Read only. */
export type Warnings = (target: Target) => Promise<string[]>;

export function createWarnings(look: {
  at: Namespace;
  backend: IptablesBackend;
  iptables(target: Target): Promise<IptablesSnapshot>;
}): Warnings {
  return async (target) => {
    const [snapshot, others] = await Promise.all([
      look.iptables(target),
      rulesElsewhere(look.at, look.backend),
    ]);
    return [...leftBehind(snapshot), ...others, ...target.hooks.flatMap((hook) => orderOf(hook, snapshot))];
  };
}

/** Ours, from before the machine was switched to the other backend: they go with the next change or repair. */
function leftBehind({ leftovers = [] }: IptablesSnapshot): string[] {
  return leftovers.length === 0
    ? []
    : [`rules of ours are left in the other backend (${leftovers.map(leftoverKey).join(", ")}): they go`];
}

/** What stands where the agent doesn't look acts as well: the other backend, and tables that only nft knows. */
async function rulesElsewhere(at: Namespace, backend: IptablesBackend): Promise<string[]> {
  const [legacy, nft] = await Promise.all([backend === "nft" ? legacyTables(at) : [], nftTables(at)]);
  const unseen = backend === "legacy" ? nft : nft.filter((table) => !isOfIptables(table));
  return [
    ...(legacy.length === 0 ? [] : [actsAsWell("iptables-legacy", legacy)]),
    ...(unseen.length === 0 ? [] : [actsAsWell("nftables", unseen)]),
  ];
}

async function legacyTables(at: Namespace): Promise<string[]> {
  const standing = await standingTables(at, "legacy");
  return [...new Set(FAMILIES.flatMap((family) => standing.get(family) ?? []))];
}

async function nftTables(at: Namespace): Promise<string[]> {
  const listed = await at.run("nft", ["list", "tables"]).catch(() => undefined);
  return [...(listed?.stdout ?? "").matchAll(/^table (.+)$/gm)].map(([, name = ""]) => name);
}

/** `ip filter`: what iptables-nft keeps. */
function isOfIptables(table: string): boolean {
  return /^ip6? (raw|mangle|nat|filter|security)$/.test(table);
}

function actsAsWell(what: string, tables: readonly string[]): string {
  return `${what} has tables too (${tables.join(", ")}): their rules act as well`;
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
