import { SluiceError } from "@sluice/proto/base/errors";
import { FAMILIES, type Family } from "@sluice/proto/base/names";
import { TABLES, type TableName } from "@sluice/proto/manifest/manifest";
import type { Namespace } from "../../exec/namespace.ts";
import type { Target } from "../driver.ts";
import { claimsIn } from "./claims.ts";
import { readLeftovers } from "./leftovers.ts";
import { parseSave, unreadableTables } from "./parse.ts";
import { type IptablesSnapshot, tableKey } from "./snapshot.ts";
import { type IptablesBackend, iptablesTool } from "./tools.ts";

/**
 * One save per family, without `-t`: it prints the tables that exist, and so neither makes one nor loads a module.
 * (legacy: those in /proc/net/ip_tables_names.) A foreign native nft table that iptables can't print fails the read
 * only where the target needs that table; elsewhere it counts as absent.
 */
export async function readIptables(
  at: Namespace,
  target: Target,
  backend: IptablesBackend,
): Promise<IptablesSnapshot> {
  const [left, ...texts] = await Promise.all([
    readLeftovers(at, backend),
    ...FAMILIES.map((family) => save(at, target, backend, family)),
  ]);
  const tables = texts.flatMap(({ family, text, skip }) =>
    parseSave(family, text, claimed(target, family)).filter(({ table }) => !skip.includes(table)),
  );
  return { tables: new Map(tables.map((table) => [tableKey(table.family, table.table), table])), ...left };
}

async function save(at: Namespace, target: Target, backend: IptablesBackend, family: Family) {
  const tool = iptablesTool(backend, family, "save");
  const { code, stdout, stderr, timedOut } = await at.run(tool, []);
  if (code !== 0) {
    const why = timedOut ? "it took too long" : stderr.trim() || `exit code ${code}`;
    throw new SluiceError("UNAVAILABLE", `${tool} in ${at.name} can't be read: ${why}`);
  }
  const skip = unreadableTables(`${stdout}\n${stderr}`);
  const needed = [...target.chains, ...target.hooks].filter((object) => object.family === family);
  const tables = [...needed.map(({ table }) => table), ...claimed(target, family)];
  const broken = skip.find((table) => tables.includes(table));
  if (broken !== undefined) {
    throw new SluiceError("REFUSED", `${tool}: table ${broken} holds chains that only nft can print`, {
      cure: `see \`nft list table ${family === 4 ? "ip" : "ip6"} ${broken}\`; move what another tool keeps there into a table of its own`,
    });
  }
  return { family, text: stdout, skip };
}

function claimed({ takeover = [] }: Target, family: Family): TableName[] {
  return TABLES.filter((table) => claimsIn(takeover, family, table).length > 0);
}
