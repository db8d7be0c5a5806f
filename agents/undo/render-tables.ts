import { FAMILIES, type Family } from "@sluice/proto/base/names";
import {
  type ManifestChain,
  type ManifestHook,
  TABLES,
  type TableName,
} from "@sluice/proto/manifest/manifest";
import type { Target } from "../drivers/driver.ts";
import { plainJson } from "./plain-json.ts";

export interface TablesInput {
  previous: Target;
  next: Target;
  tool(family: Family, verb?: "restore"): string;
}

/**
 * The rules of an undo: per table and family one restore text that declares all chains of both targets, which empties
 * them, and fills the previous ones; then jumps, then chains that only the change had. All in text that
 * `iptables-restore` or a `while read` of the shell takes.
 */
export function renderTables(input: TablesInput): Record<string, string> {
  const files: Record<string, string> = {};
  const tables: string[] = [];
  const keep: string[] = [];
  const dropHooks: string[] = [];
  const dropChains: string[] = [];
  for (const table of TABLES) {
    for (const family of FAMILIES) {
      const before = partOf(input.previous, family, table);
      const after = partOf(input.next, family, table);
      if (plainJson(before) === plainJson(after)) continue;
      const names = new Set([...before.chains, ...after.chains].map(({ name }) => name));
      const file = `ip${family}-${table}.rules`;
      if (names.size > 0) {
        files[file] = restoreText(table, names, before.chains);
        tables.push(`${input.tool(family, "restore")} ${file}`);
      }
      const command = input.tool(family);
      keep.push(...inOrder(before.hooks).map((hook) => hookLine(command, hook)));
      dropHooks.push(
        ...after.hooks
          .filter((hook) => !includesHook(before.hooks, hook))
          .map((hook) => hookLine(command, hook, !isKept(before.hooks, hook))),
      );
      for (const name of names)
        if (!before.chains.some((chain) => chain.name === name))
          dropChains.push(`${command} ${table} ${name}`);
    }
  }
  return {
    ...files,
    tables: text(tables),
    "hooks.keep": text(keep),
    "hooks.drop": text(dropHooks),
    "chains.drop": text(dropChains),
  };
}

function restoreText(table: TableName, names: ReadonlySet<string>, chains: readonly ManifestChain[]): string {
  return text([
    `*${table}`,
    ...[...names].map((name) => `:${name} - [0:0]`),
    ...chains.flatMap(({ name, rules }) => rules.map(({ args }) => `-A ${name} ${args}`.trimEnd())),
    "COMMIT",
  ]);
}

function partOf(target: Target, family: Family, table: TableName) {
  const here = (object: ManifestChain | ManifestHook) => object.family === family && object.table === table;
  return { chains: target.chains.filter(here), hooks: target.hooks.filter(here) };
}

function includesHook(hooks: readonly ManifestHook[], { hook, chain, via }: ManifestHook): boolean {
  return hooks.some((other) => other.hook === hook && other.chain === chain && other.via === via);
}

/** Each head goes in before the one that went in last, so the last comes first. */
function inOrder(hooks: readonly ManifestHook[]): ManifestHook[] {
  const heads = hooks.filter(({ at }) => at === "head").reverse();
  return [...heads, ...hooks.filter(({ at }) => at === "tail")];
}

/** Where the jump stands, and where else, should another tool's chain be gone by then. */
function hookLine(
  command: string,
  { table, hook, chain, at, via }: ManifestHook,
  orElsewhere = true,
): string {
  const other = via === undefined || !orElsewhere ? "" : ` ${hook}`;
  return `${command} ${table} ${via ?? hook} ${chain} ${at}${other}`;
}

/** The same jump stays in the hook itself. */
function isKept(before: readonly ManifestHook[], { hook, chain }: ManifestHook): boolean {
  return before.some((other) => other.hook === hook && other.chain === chain);
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
