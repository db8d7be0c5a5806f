import { CHAIN_PREFIX, FAMILIES, type Family } from "@sluice/proto/base/names";
import type { TableName } from "@sluice/proto/manifest/manifest";
import type { Namespace } from "../../exec/namespace.ts";
import { readNetText } from "../../exec/proc-net.ts";
import { parseSave, unreadableTables } from "./parse.ts";
import type { Leftover, OutOfReach, TableSnapshot } from "./snapshot.ts";
import { type IptablesBackend, iptablesTool, otherBackend } from "./tools.ts";

/**
 * Rules of ours in the backend that isn't used: what `update-alternatives --set iptables` leaves behind. They still act,
 * and nobody would see them.
 *
 * 1. Looking loads no module and makes no table: the kernel is asked first which tables it has.
 * 2. Only tables that hold something of ours by name are told.
 * 3. A table that others have put rules of nft's own into can't be printed by iptables, nor changed by it. What of ours is
 *    in it is told by name and left where it is: to write by a second tool what the first one can't read isn't safe.
 */
export interface Left {
  leftovers: Leftover[];
  outOfReach: OutOfReach[];
}

export async function readLeftovers(at: Namespace, backend: IptablesBackend): Promise<Left> {
  // nothing of ours was ever written there but by the rehearsal itself
  if (at.throwAway === true) return { leftovers: [], outOfReach: [] };
  const other = otherBackend(backend);
  const standing = await standingTables(at, other);
  const families = FAMILIES.filter((family) => (standing.get(family)?.length ?? 0) > 0);
  const read = await Promise.all(families.map((family) => readTables(at, other, family)));
  return {
    leftovers: read
      .flatMap(({ tables }) => tables)
      .filter(holdsOurs)
      .map((table) => ({ ...table, backend: other })),
    outOfReach: read.flatMap((one) => one.outOfReach),
  };
}

/** The tables that the kernel has in a backend, by family. */
export async function standingTables(
  at: Namespace,
  backend: IptablesBackend,
): Promise<Map<Family, readonly string[]>> {
  return backend === "legacy" ? await legacyTables(at) : await nftTables(at);
}

async function legacyTables(at: Namespace): Promise<Map<Family, readonly string[]>> {
  const read = FAMILIES.map(async (family): Promise<[Family, string[]]> => {
    const text = await readNetText(at, `ip${family === 6 ? "6" : ""}_tables_names`);
    return [family, text.split("\n").filter((name) => name !== "")];
  });
  return new Map(await Promise.all(read));
}

async function nftTables(at: Namespace): Promise<Map<Family, readonly string[]>> {
  const listed = await at.run("nft", ["list", "tables"]).catch(() => undefined);
  const tables = [...(listed?.stdout ?? "").matchAll(/^table (ip6?) (\S+)$/gm)];
  return new Map(
    FAMILIES.map((family) => {
      const protocol = family === 4 ? "ip" : "ip6";
      return [family, tables.flatMap(([, of, name = ""]) => (of === protocol ? [name] : []))];
    }),
  );
}

async function readTables(
  at: Namespace,
  backend: IptablesBackend,
  family: Family,
): Promise<{ tables: TableSnapshot[]; outOfReach: OutOfReach[] }> {
  const tool = iptablesTool(backend, family, "save");
  // on a machine without it, that name is the backend in use
  if (!tool.includes(backend)) return { tables: [], outOfReach: [] };
  const { code, stdout, stderr } = await at.run(tool, []);
  if (code !== 0) return { tables: [], outOfReach: [] };
  const unreadable = unreadableTables(`${stdout}\n${stderr}`);
  const hidden = await Promise.all(unreadable.map((table) => chainsOfOurs(at, family, table)));
  return {
    tables: parseSave(family, stdout).filter(({ table }) => !unreadable.includes(table)),
    outOfReach: hidden.filter(({ chains }) => chains.length > 0),
  };
}

async function chainsOfOurs(at: Namespace, family: Family, table: TableName): Promise<OutOfReach> {
  const { stdout } = await at.run("nft", ["list", "table", family === 4 ? "ip" : "ip6", table]);
  const chains = [...stdout.matchAll(/^\tchain (\S+) \{/gm)].map(([, name = ""]) => name);
  return { family, table, chains: chains.filter((name) => name.startsWith(CHAIN_PREFIX)) };
}

function holdsOurs({ chains, hooks }: TableSnapshot): boolean {
  return chains.size > 0 || [...hooks.values()].some(({ jumps }) => jumps.length > 0);
}
