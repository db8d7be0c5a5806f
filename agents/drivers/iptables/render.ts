import { FAMILIES, type Family } from "@sluice/proto/base/names";
import {
  type ManifestChain,
  type ManifestHook,
  type Origin,
  TABLES,
  type TableName,
} from "@sluice/proto/manifest/manifest";
import type { Script, Steps, Target } from "../driver.ts";
import { backText, type Claimed, claimedOf, claimsIn, takeText } from "./claims.ts";
import { changedChains, hookFaults } from "./diff.ts";
import { type IptablesSnapshot, leftoverKey, placeOf, type TableSnapshot, tableKey } from "./snapshot.ts";
import { iptablesTool } from "./tools.ts";

/**
 * One commit per table and family.
 *
 * 1. A chain that differs is declared, which empties it, and written whole: an append to a chain that somebody flushed
 *    would succeed on a half-empty one.
 * 2. A chain that is the same isn't named: naming it would reset its counters.
 * 3. Built-in chains are never declared (it would flush them): our jumps go in and out by their text.
 * 4. A jump that stands in the wrong place is left there; one that stands twice is taken out and put in anew.
 * 5. Removals empty all chains first and delete them after, since they may jump to each other.
 * 6. What a takeover claims goes when ours stands, in a commit of its own.
 * 7. What is left of ours in the other backend goes too, by the restore tool of that one.
 */
export function renderIptables(
  target: Target,
  want: IptablesSnapshot | undefined,
  have: IptablesSnapshot,
): Steps {
  const steps: Steps = { build: [], remove: [] };
  for (const table of TABLES) {
    for (const family of FAMILIES) {
      const ofTable = (object: ManifestChain | ManifestHook) =>
        object.family === family && object.table === table;
      const key = tableKey(family, table);
      const chains = target.chains.filter(ofTable);
      const hooks = target.hooks.filter(ofTable);
      const standing = have.tables.get(key);
      const changed = want === undefined ? undefined : changedChains(want.tables.get(key), standing);
      const toWrite = chains.filter((chain) => changed === undefined || changed.has(chain.name));
      const bare = want === undefined ? bareTable(target, family, table) : undefined;
      const build = renderBuild(family, table, toWrite, hooks, standing ?? bare);
      const remove = renderRemove(tableKey(family, table), toolOf(family), chains, hooks, standing);
      if (build !== undefined) steps.build.push(build);
      if (remove !== undefined) steps.remove.push(remove);
      const claimed = claimedOf(claimsIn(target.takeover ?? [], family, table), standing);
      if (claimed !== undefined) steps.remove.push(takeScript(claimed));
    }
  }
  // last: until the backend in use holds everything, they are all the protection there is
  for (const table of have.leftovers ?? []) {
    const tool = iptablesTool(table.backend, table.family, "restore");
    const remove = renderRemove(leftoverKey(table), tool, [], [], table);
    if (remove !== undefined) steps.remove.push(remove);
  }
  return steps;
}

/** What a rehearsal begins with: the stubs of foreign chains, which ours may have to stand in. */
function bareTable({ external }: Target, family: Family, table: TableName): TableSnapshot {
  const stubs = external.chains.filter((chain) => chain.family === family && chain.table === table);
  const foreignChains = new Set(stubs.map(({ name }) => name));
  return { family, table, chains: new Map(), hooks: new Map(), foreignChains, foreignUses: [] };
}

/** All chains of ours, whole; the jumps to them aren't touched, for nobody knows which there are. */
export function rewriteChains(target: Target): Script[] {
  return TABLES.flatMap((table) =>
    FAMILIES.flatMap((family) => {
      const chains = target.chains.filter((chain) => chain.family === family && chain.table === table);
      return renderBuild(family, table, chains, [], undefined) ?? [];
    }),
  );
}

/** Ours stand by then: no packet is left without either. */
function takeScript(claimed: Claimed): Script {
  const { family, table } = claimed;
  const what = `${tableKey(family, table)}: take over`;
  return { driver: "iptables", what, tool: toolOf(family), text: takeText(claimed) };
}

/** Gives back what was taken over. */
export function backScript(claimed: Claimed, hooks: readonly ManifestHook[]): Script {
  const { family, table } = claimed;
  const what = `${tableKey(family, table)}: give back`;
  return { driver: "iptables", what, tool: toolOf(family), text: backText(claimed, hooks) };
}

function renderBuild(
  family: Family,
  table: TableName,
  chains: readonly ManifestChain[],
  hooks: readonly ManifestHook[],
  have: TableSnapshot | undefined,
): Script | undefined {
  const lines = chains.map(({ name }) => `:${name} - [0:0]`);
  const origins = new Map<number, Origin>();
  for (const chain of chains) {
    for (const rule of chain.rules) {
      // index in the script's text, where `*table` is line 0
      if (rule.origin !== undefined) origins.set(lines.length + 1, rule.origin);
      lines.push(`-A ${chain.name} ${rule.args}`.trimEnd());
    }
  }
  const heads: string[] = [];
  const tails: string[] = [];
  let jumps = 0;
  for (const fault of hookFaults(hooks, have)) {
    if (fault.kind !== "missing" && fault.kind !== "doubled") continue;
    const { chain, at } = fault.hook;
    const place = placeOf(fault.hook, have);
    jumps++;
    if (fault.kind === "doubled") lines.push(...Array(fault.copies).fill(`-D ${place} -j ${chain}`));
    if (at === "head") heads.unshift(`-I ${place} 1 -j ${chain}`);
    else tails.push(`-A ${place} -j ${chain}`);
  }
  lines.push(...heads, ...tails);
  if (lines.length === 0) return undefined;
  const what = [count(chains.length, "chain"), count(jumps, "jump")].filter((part) => part !== "").join(", ");
  return script(tableKey(family, table), toolOf(family), what, lines, origins);
}

function renderRemove(
  key: string,
  tool: string,
  chains: readonly ManifestChain[],
  hooks: readonly ManifestHook[],
  have: TableSnapshot | undefined,
): Script | undefined {
  const gone = [...(have?.chains.keys() ?? [])].filter(
    (name) => !chains.some((chain) => chain.name === name),
  );
  const jumps = hookFaults(hooks, have).flatMap((fault) =>
    fault.kind === "extra" ? Array<string>(fault.copies).fill(`-D ${fault.hook} -j ${fault.chain}`) : [],
  );
  if (gone.length === 0 && jumps.length === 0) return undefined;
  const lines = [...jumps, ...gone.map((name) => `:${name} - [0:0]`), ...gone.map((name) => `-X ${name}`)];
  const what = [count(gone.length, "chain"), count(jumps.length, "jump")]
    .filter((part) => part !== "")
    .join(", ");
  return script(key, tool, `remove ${what}`, lines);
}

function script(
  key: string,
  tool: string,
  what: string,
  lines: readonly string[],
  origins: ReadonlyMap<number, Origin> = new Map(),
): Script {
  return {
    driver: "iptables",
    what: `${key}: ${what}`,
    tool,
    text: `${[`*${key.slice(key.indexOf("/") + 1)}`, ...lines, "COMMIT"].join("\n")}\n`,
    originOf: (line) => origins.get(line),
  };
}

function toolOf(family: Family): string {
  return family === 4 ? "iptables-restore" : "ip6tables-restore";
}

function count(n: number, noun: string): string {
  return n === 0 ? "" : `${n} ${noun}${n === 1 ? "" : "s"}`;
}
