import { CHAIN_NAME_MAX } from "../base/names.ts";
import { HOOKS, type HookName, TABLES, type TableName } from "../manifest/manifest.ts";
import { findCycles, type Jump } from "./chain-cycles.ts";
import type { PolicyChainDocument, PolicyDocument } from "./document.ts";
import { type Field, oneOf, optional, parsed } from "./fields.ts";
import { type Reader, readFields, readList, readMap, readValue } from "./reader.ts";
import { readRule } from "./rule-check.ts";
import type { RuleNames } from "./rule-names.ts";
import { TARGETS } from "./rule-targets.ts";
import { type MapField, positionOf, type SourceNode, shown, type TextNode } from "./source-node.ts";

type Firewall = PolicyDocument["firewall"];

/** The built-in chains of each table. */
export const HOOKS_OF: Readonly<Record<TableName, readonly HookName[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

const acceptWay = oneOf(["final", "return"]);
const verdict = oneOf(["drop", "reject"]);

/** LOG takes 29 characters. */
const logPrefix: Field<string> = parsed("one line of at most 29 characters", (text) =>
  text !== "" && Buffer.byteLength(text) <= 29 && !/\p{Cc}/u.test(text) ? text : undefined,
);

/** The names of the policy's own chains, table by table, known before any rule is read. */
export function ownChains(node: SourceNode | undefined): Map<TableName, Set<string>> {
  const firewall = node?.kind === "map" ? node.fields : new Map<string, MapField>();
  return new Map(
    TABLES.map((table) => {
      const chains = firewall.get(table)?.value;
      const names = chains?.kind === "map" ? [...chains.fields.keys()] : [];
      return [table, new Set(names.filter((name) => hookNamed(name) === undefined))];
    }),
  );
}

/** `firewall`: chains with their rules, table by table, and what happens to packets that no rule decided. */
export function readFirewall(reader: Reader, node: SourceNode | undefined, names: RuleNames): Firewall {
  const shape = {
    default: "nested",
    accept: "nested",
    raw: "nested",
    mangle: "nested",
    nat: "nested",
    filter: "nested",
  } as const;
  const fields = node && readFields(reader, node, shape);
  const way = fields?.accept && readValue(reader, fields.accept, acceptWay);
  return {
    ...(fields?.accept && way && { accept: { way, ...positionOf(fields.accept) } }),
    defaults: readDefaults(reader, fields?.default),
    chains: TABLES.flatMap((table) => readTable(reader, table, fields?.[table], names)),
  };
}

function readDefaults(reader: Reader, node: SourceNode | undefined): Firewall["defaults"] {
  const expected = `a map of ${HOOKS_OF.filter.join(", ")}`;
  const defaults: Firewall["defaults"] = [];
  for (const [name, { key, value }] of (node && readMap(reader, node, expected))?.fields ?? []) {
    const hook = HOOKS_OF.filter.find((known) => known === name);
    if (hook === undefined)
      reader.problem(key, `${name} can't have a default`, {
        found: name,
        expected: `one of ${HOOKS_OF.filter.join(", ")}`,
      });
    const said =
      value.kind === "map"
        ? readFields(reader, value, { verdict, log: optional(logPrefix) })
        : { verdict: readValue(reader, value, verdict), log: undefined };
    if (hook === undefined || said?.verdict === undefined) continue;
    const { log } = said;
    defaults.push({ hook, verdict: said.verdict, ...(log !== undefined && { log }), ...positionOf(key) });
  }
  return defaults;
}

function readTable(
  reader: Reader,
  table: TableName,
  node: SourceNode | undefined,
  names: RuleNames,
): PolicyChainDocument[] {
  const map = node && readMap(reader, node, "a map of chains");
  const jumps: Jump<TextNode>[] = [];
  const chains: PolicyChainDocument[] = [];
  for (const [name, { key, value }] of map?.fields ?? []) {
    checkChainName(reader, table, name, { key, value });
    if (names.chains.external.get(table)?.has(name))
      reader.problem(key, `the chain ${name} is external already`, { expected: "another name" });
    const rules: PolicyChainDocument["rules"] = [];
    let others: number | undefined;
    for (const item of readList(reader, value, "a list of rules; [] for an empty chain")?.items ?? []) {
      if (isOthers(item)) {
        checkOthers(reader, item, name, others);
        others ??= rules.length;
        continue;
      }
      const checked = readRule(reader, item, table, names);
      if (checked === undefined) continue;
      rules.push(checked.rule);
      for (const to of checked.goesTo) jumps.push({ from: name, to, rule: checked.node });
    }
    chains.push({ table, name, rules, ...(others !== undefined && { others }), ...positionOf(key) });
  }
  for (const { chains: round, rule } of findCycles(jumps))
    reader.problem(rule, `the chains go round in a circle: ${round.join(" -> ")}`, {
      found: round.at(-1) ?? "",
      expected: "a way that ends",
    });
  return chains;
}

/** In place of a rule: here the rules of others in the same hook have their say. */
function isOthers(node: SourceNode): boolean {
  return node.kind === "text" && node.text === "others";
}

function checkOthers(reader: Reader, node: SourceNode, chain: string, earlier: number | undefined): void {
  if (hookNamed(chain) === undefined)
    reader.problem(node, `others have no rules in ${chain}, a chain of this policy`, {
      expected: "`others` in a built-in chain",
    });
  else if (earlier !== undefined)
    reader.problem(node, "the rules of others stand in one place", { expected: "`others` once in a chain" });
}

function checkChainName(reader: Reader, table: TableName, name: string, { key }: MapField): void {
  const hook = hookNamed(name) ?? hookNamed(name.toUpperCase());
  if (hook !== undefined) {
    const expected = HOOKS_OF[table].join(", ");
    if (hook !== name)
      reader.problem(key, `${name} is the built-in chain ${hook} in small letters`, {
        found: name,
        expected: hook,
      });
    else if (!HOOKS_OF[table].includes(hook))
      reader.problem(key, `the table ${table} has no chain ${name}`, {
        found: name,
        expected: `one of ${expected}, or a chain of your own`,
      });
    return;
  }
  if (name.length > CHAIN_NAME_MAX)
    reader.problem(key, "this chain's name is too long", {
      found: `${name.length} characters`,
      expected: `at most ${CHAIN_NAME_MAX}`,
    });
  else if (!/^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/.test(name))
    reader.problem(key, `${shown(name)} can't be a chain's name`, {
      found: name,
      expected: "letters, digits, _ . and -",
    });
  else if (TARGETS.has(name))
    reader.problem(key, `${name} is a target of iptables`, {
      found: name,
      expected: "another name for this chain",
    });
}

function hookNamed(name: string): HookName | undefined {
  return HOOKS.find((hook) => hook === name);
}
