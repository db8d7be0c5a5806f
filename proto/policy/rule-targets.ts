import { HOOKS, type TableName } from "../manifest/manifest.ts";
import { didYouMean } from "./suggest.ts";

/** Built-in targets and those of extensions: a chain of that name would hide the target. */
export const TARGETS: ReadonlySet<string> = new Set(
  `ACCEPT DROP RETURN QUEUE AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK CT DNAT DNPT DSCP ECN HL HMARK
  IDLETIMER LED LOG MARK MASQUERADE MIRROR NETMAP NFLOG NFQUEUE NOTRACK RATEEST REDIRECT REJECT SAME SECMARK SET SNAT
  SNPT SYNPROXY TARPIT TCPMSS TCPOPTSTRIP TEE TOS TPROXY TRACE TTL ULOG`.split(/\s+/),
);

/** Which chains there are to go to. */
export interface ChainNames {
  /** the policy's own, of each table */
  own: ReadonlyMap<TableName, ReadonlySet<string>>;
  external: ReadonlyMap<TableName, ReadonlySet<string>>;
}

export type Target =
  | { kind: "own" | "external" | "extension" }
  | { kind: "fault"; message: string; expected: string };

/**
 * What `-j NAME` or `-g NAME` leads to. Names in capitals that aren't a chain's are taken for an extension's target:
 * only the server knows which it has.
 */
export function findTarget(name: string, isGoto: boolean, table: TableName, chains: ChainNames): Target {
  const own = chains.own.get(table) ?? new Set();
  const external = chains.external.get(table) ?? new Set();
  if (own.has(name)) return { kind: "own" };
  if (external.has(name)) return { kind: "external" };
  const expected = `a chain under firewall.${table}, one under external.chains.${table}, or a target`;
  if (name.includes("$")) return { kind: "fault", message: "a target can't come from a variable", expected };
  if (HOOKS.some((hook) => hook === name))
    return { kind: "fault", message: `a rule can't go to the built-in chain ${name}`, expected };
  if (isGoto && TARGETS.has(name))
    return {
      kind: "fault",
      message: `${name} is a target, and a goto leads to a chain`,
      expected: `-j ${name}`,
    };
  if (!isGoto && /^[A-Z][A-Z0-9_]*$/.test(name)) return { kind: "extension" };
  const elsewhere = [...chains.own].find(([, names]) => names.has(name));
  const hint =
    elsewhere === undefined
      ? didYouMean(name, [...own, ...external, ...TARGETS])
      : `; it is one of table ${elsewhere[0]}`;
  return { kind: "fault", message: `no chain '${name}' in table ${table} of this policy${hint}`, expected };
}
