import { FAMILIES } from "@sluice/proto/base/names";
import type { Driver, Target } from "../drivers/driver.ts";
import { standingTables } from "../drivers/iptables/leftovers.ts";
import { type IptablesSnapshot, leftoverKey } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { hookOrders } from "./hook-order.ts";
import { type Snapshots, snapshotOf } from "./kernel.ts";

/** Worth a look before a change: what others keep beside ours, and in which order packets meet it. Read only. */
export type Warnings = (target: Target, have: Snapshots) => Promise<string[]>;

export function createWarnings(look: {
  at: Namespace;
  backend: IptablesBackend;
  iptables: Driver<IptablesSnapshot>;
}): Warnings {
  return async (target, have) => {
    const snapshot = snapshotOf(look.iptables, have);
    const others = await rulesElsewhere(look.at, look.backend);
    return [...leftBehind(snapshot), ...outOfReach(snapshot), ...others, ...hookOrders(target, snapshot)];
  };
}

/** Ours, from before the machine was switched to the other backend: they go with the next change or repair. */
function leftBehind({ leftovers = [] }: IptablesSnapshot): string[] {
  return leftovers.length === 0
    ? []
    : [`rules of ours are left in the other backend (${leftovers.map(leftoverKey).join(", ")}): they go`];
}

function outOfReach({ outOfReach = [] }: IptablesSnapshot): string[] {
  return outOfReach.map(({ family, table, chains }) => {
    const where = `${family === 4 ? "ip" : "ip6"} ${table}`;
    return (
      `rules of ours are left in the other backend among rules that only nft can print (${where}: ${chains.join(", ")}): ` +
      `they act, and stay; take them out by nft, as \`nft -a list table ${where}\` shows them`
    );
  });
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
