import type { TableName } from "@sluice/proto/manifest/manifest";
import { TABLES } from "@sluice/proto/manifest/manifest";
import type { ImportedRule } from "./rules.ts";
import type { StandingSet } from "./sets.ts";

export interface Left {
  what: string;
  why: string;
}

export interface Imported {
  server: string;
  policy: string;
  /** hooks that end in drop in both families */
  drops: string[];
  chains: {
    table: TableName;
    name: string;
    rules: ImportedRule[];
    /** so many of them stand before those of other tools */
    others?: number | undefined;
  }[];
  sets: StandingSet[];
  external: StandingSet[];
  /** chains that are taken over, `filter/INPUT`, and what stays in them */
  claims: { chain: string; except: readonly string[] }[];
  /** what leaves these devices is shaped so; their roots are taken over */
  shaping: { device: string; lines: readonly string[] }[];
  left: readonly Left[];
}

/** What a line of the policy is about: a chain, a set or a device by its name. */
export type Owner = { table: TableName; chain: string } | { set: string } | { device: string };

const FLAGS = new Set(["counters", "comment", "skbinfo", "forceadd"]);

/** The policy as YAML, and what each line is about, so that what is wrong with a line can be told of that. */
export function writePolicy(imported: Imported): { text: string; owners: ReadonlyMap<number, Owner> } {
  const { server, policy, drops, chains, sets, external, claims, shaping, left } = imported;
  const lines: string[] = [];
  const owners = new Map<number, Owner>();
  function write(line: string, owner?: Owner): void {
    lines.push(line);
    if (owner !== undefined) owners.set(lines.length, owner);
  }

  write(`# What stood on ${server}. It does nothing until it is adopted: sluice adopt ${policy}`);
  if (left.length > 0) write("# Not part of it:");
  for (const { what, why } of left) write(`#   ${oneLine(`${what}: ${why}`)}`);
  write(`policy: ${scalar(policy)}`);
  write(`description: ${scalar(`Imported from ${server}`)}`);
  write(`targets: { servers: [${scalar(server)}] }`);
  write("mode: imported");
  if (drops.length + claims.length + shaping.length > 0) write("takeover:");
  for (const hook of drops) write(`  - { chain-policy: filter/${hook}, verdict: drop }`);
  for (const { chain, except } of claims) {
    write(`  - chain: ${scalar(chain)}`, ownerOf(chain));
    if (except.length > 0) write(`    except: [${except.map(scalar).join(", ")}]`, ownerOf(chain));
  }
  for (const { device } of shaping) write(`  - qdisc: ${scalar(literal(device))}`, { device });
  if (sets.length > 0) write("sets:");
  for (const set of sets) for (const line of setLines(set)) write(line, { set: set.name });
  if (external.length > 0) write("external:");
  if (external.length > 0) write("  sets:");
  for (const { name, type } of external) write(`    ${scalar(name)}: ${scalar(type)}`, { set: name });
  if (drops.length + chains.length > 0) write("firewall:");
  if (drops.length + chains.length > 0) write("  accept: final");
  if (drops.length > 0) write(`  default: { ${drops.map((hook) => `${hook}: drop`).join(", ")} }`);
  for (const table of TABLES) {
    const own = chains.filter((chain) => chain.table === table);
    if (own.length > 0) write(`  ${table}:`);
    for (const { name, rules, others } of own) {
      const owner = { table, chain: name };
      const lines = rules.map(ruleText);
      if (others !== undefined) lines.splice(others, 0, "others");
      write(`    ${scalar(name)}:${lines.length === 0 ? " []" : ""}`, owner);
      for (const line of lines) write(`      - ${line}`, owner);
    }
  }
  if (shaping.length > 0) write("shaping:");
  for (const { device, lines: said } of shaping) {
    write(`  ${scalar(literal(device))}:`, { device });
    for (const line of said) write(`    ${line}`, { device });
  }
  return { text: `${lines.join("\n")}\n`, owners };
}

function ownerOf(claim: string): Owner | undefined {
  const table = TABLES.find((name) => claim.startsWith(`${name}/`));
  return table && { table, chain: claim.slice(table.length + 1) };
}

function setLines({ name, type, family, options, entries = [] }: StandingSet): string[] {
  const said: string[] = family === null ? [] : [`family: ipv${family}`];
  for (let at = 0; at < options.length; at += 1) {
    const option = options[at] ?? "";
    said.push(FLAGS.has(option) ? `${option}: true` : `${option}: ${scalar(options[++at] ?? "")}`);
  }
  return [
    `  ${scalar(name)}:`,
    `    type: ${scalar(type)}`,
    ...said.map((line) => `    ${line}`),
    `    entries:${entries.length === 0 ? " []" : ""}`,
    ...entries.map((entry) => `      - ${scalar(entry)}`),
  ];
}

function ruleText({ text, family }: ImportedRule): string {
  const written = scalar(literal(text));
  return family === undefined ? written : `{ rule: ${written}, family: ipv${family} }`;
}

/** With no variable in it. */
function literal(text: string): string {
  return text.replace(/\$(?=[A-Za-z_{$])/g, "$$$$");
}

/** As YAML takes it for one text, in a flow or out of it. */
function scalar(text: string): string {
  const isPlain = /^[A-Za-z0-9_./-][A-Za-z0-9_./ +=%@-]*$/.test(text) && !/^-( |$)| $/.test(text);
  return isPlain ? text : `'${text.replace(/'/g, "''")}'`;
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
