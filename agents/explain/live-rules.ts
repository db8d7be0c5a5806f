import { messageOf } from "@sluice/proto/base/errors";
import { TABLES } from "@sluice/proto/manifest/manifest";
import { unreadableTables } from "../drivers/iptables/parse.ts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { openRehearsal } from "../exec/rehearsal-namespace.ts";

/** One family's rules as they stand live, as far as they can be put elsewhere and mean the same. */
export interface LiveRules {
  /** lines as iptables-save prints them */
  lines: string[];
  /** what stands in the way of a packet and isn't among them, each as a sentence */
  notCopied: string[];
}

const SECURITY = "security";

export async function readLiveRules(
  live: Namespace,
  backend: IptablesBackend,
  family: 4 | 6,
): Promise<LiveRules> {
  const tool = iptablesTool(backend, family, "save");
  const [saved, others] = await Promise.all([
    live.run(tool, []),
    backend === "nft" ? nativeTables(live, family) : nftTables(live, family),
  ]);
  const legacy = backend === "nft" ? await legacyTables(live, family) : [];
  const notCopied = [...others, ...legacy];
  if (saved.code !== 0)
    return { lines: [], notCopied: [...notCopied, `${tool} can't be read: ${saved.stderr.trim()}`] };
  const unreadable = unreadableTables(`${saved.stdout}\n${saved.stderr}`);
  return {
    lines: withoutTables(saved.stdout.split("\n"), unreadable),
    notCopied: [
      ...notCopied,
      ...unreadable.map((table) => `table ${table}: it holds what only nft can print`),
    ],
  };
}

/**
 * iptables-save prints some native nft rules as if they were others, and says nothing of it. So what it printed is put
 * into a namespace, and nft asked whether both are the same. Tables that aren't are left out, and named.
 */
export async function keepTrue(
  live: Namespace,
  family: 4 | 6,
  rules: LiveRules,
  load: (at: Namespace, lines: readonly string[]) => Promise<void>,
): Promise<LiveRules> {
  const tables = rules.lines.flatMap((line) => (line.startsWith("*") ? [line.slice(1)] : []));
  if (tables.length === 0) return rules;
  await using room = await openRehearsal();
  await load(room, rules.lines);
  const differ: string[] = [];
  for (const table of tables) {
    const [there, here] = await Promise.all([listing(live, family, table), listing(room, family, table)]);
    if (there === undefined || here === undefined)
      return {
        ...rules,
        notCopied: [...rules.notCopied, "native nft rules, if there are any: nft isn't here to show them"],
      };
    if (!sameChains(there, here)) differ.push(table);
  }
  return {
    lines: withoutTables(rules.lines, differ),
    notCopied: [
      ...rules.notCopied,
      ...differ.map(
        (table) => `table ${table}: it holds rules of nft's own that iptables-save shows as others`,
      ),
    ],
  };
}

/** In whatever order; an iptables command makes the built-in chains that it needs, a restore all of them. */
function sameChains(there: string, here: string): boolean {
  const copied = chainsOf(here);
  return [...chainsOf(there)].every(([name, body]) => copied.get(name) === body);
}

function chainsOf(text: string): Map<string, string> {
  const found = [...text.matchAll(/^\tchain (\S+) \{\n(.*?)^\t\}$/gms)];
  return new Map(found.map(([, name = "", body = ""]) => [name, body]));
}

async function listing(at: Namespace, family: 4 | 6, table: string): Promise<string | undefined> {
  const name = family === 4 ? "ip" : "ip6";
  const listed = await at.run("nft", ["--stateless", "list", "table", name, table]).catch(() => undefined);
  return listed?.code === 0 ? listed.stdout : undefined;
}

/** Tables of nft that aren't iptables': whoever made them may drop packets too. */
async function nativeTables(live: Namespace, family: 4 | 6): Promise<string[]> {
  const own = family === 4 ? "ip" : "ip6";
  const ours = new Set([...TABLES, SECURITY].map((table) => `${own} ${table}`));
  return (await tablesOfNft(live, family)).filter((name) => !ours.has(name)).map(tableText);
}

async function nftTables(live: Namespace, family: 4 | 6): Promise<string[]> {
  return (await tablesOfNft(live, family)).map(tableText);
}

async function tablesOfNft(live: Namespace, family: 4 | 6): Promise<string[]> {
  const listed = await live.run("nft", ["list", "tables"]).catch(() => undefined);
  const met = [family === 4 ? "ip" : "ip6", "inet", "netdev", "bridge"];
  return (listed?.stdout ?? "").split("\n").flatMap((line) => {
    const [, name = ""] = /^table (\S+ \S+)/.exec(line) ?? [];
    return met.includes(name.split(" ")[0] ?? "") ? [name] : [];
  });
}

function tableText(name: string): string {
  return `nft table ${name}`;
}

async function legacyTables(live: Namespace, family: 4 | 6): Promise<string[]> {
  const path = family === 4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names";
  const names = await live.run("cat", [path]).catch((error) => ({ stdout: "", stderr: messageOf(error) }));
  return names.stdout
    .split("\n")
    .filter((name) => name !== "")
    .map((name) => `table ${name} of iptables-legacy`);
}

function withoutTables(lines: readonly string[], tables: readonly string[]): string[] {
  let isKept = true;
  return lines.filter((line) => {
    if (line.startsWith("*")) isKept = !tables.includes(line.slice(1));
    return isKept && line !== "" && !line.startsWith("#");
  });
}
