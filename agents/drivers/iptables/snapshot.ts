import type { Family } from "@sluice/proto/base/names";
import type { HookName, TableName } from "@sluice/proto/manifest/manifest";

/** What stands in the tables of both families: ours whole, foreign only where it touches ours. */
export interface IptablesSnapshot {
  /** by `tableKey`; only tables that exist */
  tables: ReadonlyMap<string, TableSnapshot>;
}

export interface TableSnapshot {
  family: Family;
  table: TableName;
  /** ours (`SL-…`): their rules in order, without counters, as the kernel spells them */
  chains: ReadonlyMap<string, readonly string[]>;
  hooks: ReadonlyMap<HookName, HookSnapshot>;
  /** names of the other chains, built-in ones left out */
  foreignChains: ReadonlySet<string>;
  /** foreign rules that jump to a chain of ours or look into a set of ours */
  foreignUses: readonly ForeignUse[];
}

export interface HookSnapshot {
  policy: string;
  /** how many rules stand in the hook, ours and foreign */
  rules: number;
  /** plain jumps to chains of ours, in order; `index` from 0 */
  jumps: readonly { chain: string; index: number }[];
}

export interface ForeignUse {
  /** the chain that the foreign rule stands in */
  chain: string;
  rule: string;
  /** our chain or set */
  uses: string;
}

/** `ip4/filter`, also the beginning of every object's name in a difference. */
export function tableKey(family: Family, table: TableName): string {
  return `ip${family}/${table}`;
}
