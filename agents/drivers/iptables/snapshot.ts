import type { Family } from "@sluice/proto/base/names";
import type { ManifestHook, TableName } from "@sluice/proto/manifest/manifest";
import type { IptablesBackend } from "./tools.ts";

/** What stands in the tables of both families: ours whole, foreign only where it touches ours. */
export interface IptablesSnapshot {
  /** by `tableKey`; only tables that exist */
  tables: ReadonlyMap<string, TableSnapshot>;
  /** what is left of ours in the backend that isn't used; absent: nothing */
  leftovers?: readonly Leftover[] | undefined;
  /** chains of ours there, in tables that only nft can print: seen, and out of reach of iptables */
  outOfReach?: readonly OutOfReach[] | undefined;
}

/** Of all drivers' snapshots, this one's. */
export function isIptablesSnapshot(snapshot: unknown): snapshot is IptablesSnapshot {
  return typeof snapshot === "object" && snapshot !== null && "tables" in snapshot;
}

export interface TableSnapshot {
  family: Family;
  table: TableName;
  /** ours (`SL-…`): their rules in order, without counters, as the kernel spells them */
  chains: ReadonlyMap<string, readonly string[]>;
  /** by the chains that our jumps may stand in: the built-in ones, and Docker's for the rules of others */
  hooks: ReadonlyMap<string, HookSnapshot>;
  /** names of the other chains, built-in ones left out */
  foreignChains: ReadonlySet<string>;
  /** foreign rules that jump to a chain of ours or look into a set of ours */
  foreignUses: readonly ForeignUse[];
  /** every foreign rule, where something in this table is claimed */
  foreign?: readonly ForeignRule[] | undefined;
}

export interface ForeignRule {
  chain: string;
  /** among the foreign rules of a built-in chain, from 0 */
  index: number;
  rule: string;
}

export interface Leftover extends TableSnapshot {
  backend: IptablesBackend;
}

export interface OutOfReach {
  family: Family;
  table: TableName;
  chains: readonly string[];
}

export interface HookSnapshot {
  policy: string;
  /** how many rules stand in the hook, ours and foreign */
  rules: number;
  /** plain jumps to chains of ours, in order; `index` from 0 */
  jumps: readonly { chain: string; index: number }[];
  /** the chains that foreign rules go to, in order */
  foreignJumps: readonly { chain: string; index: number }[];
}

export interface ForeignUse {
  /** the chain that the foreign rule stands in */
  chain: string;
  rule: string;
  /** our chain or set */
  uses: string;
}

/** The chain that a hook's jump stands in: Docker's, while that is there. */
export function placeOf({ hook, via }: ManifestHook, have: TableSnapshot | undefined): string {
  return via !== undefined && have?.foreignChains.has(via) ? via : hook;
}

/** `ip4/filter`, also the beginning of every object's name in a difference. */
export function tableKey(family: Family, table: TableName): string {
  return `ip${family}/${table}`;
}

/** The same in the backend that isn't used: `ip4-legacy/filter`. */
export function leftoverKey({ backend, family, table }: Leftover): string {
  return `ip${family}-${backend}/${table}`;
}
