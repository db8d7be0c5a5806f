import {
  ACCEPT_CHAIN,
  afterOthers,
  controlSet,
  FAMILIES,
  headChain,
  listSet,
  policyChain,
  policySet,
  protectSet,
  reachSet,
  tailChain,
} from "@sluice/proto/base/names";
import type { TableName } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import type { Reporter, Spot } from "./findings.ts";
import { shapeOf } from "./set-entries.ts";
import { SHAPE_CHAIN } from "./shaping.ts";

/**
 * Kernel names are made by joining names with dashes, so two things can come to the same one: the chain `b-c` of policy
 * `a` and the chain `c` of policy `a-b`. Both would be the same chain in the kernel: refused, with both named.
 */
export interface NamesTaken {
  take(kind: string, kernelName: string, who: string, at: Spot, report: Reporter): void;
}

export function createNamesTaken(lists: readonly string[]): NamesTaken {
  const takenBy = new Map<string, string>();
  for (const table of ["raw", "mangle", "nat", "filter"] as const)
    for (const hook of HOOKS_OF[table])
      for (const name of [headChain(hook), tailChain(hook)]) takenBy.set(`${table} ${name}`, "Sluice itself");
  takenBy.set(`filter ${ACCEPT_CHAIN}`, "Sluice itself");
  for (const family of FAMILIES) {
    for (const name of [protectSet(family), controlSet(family), reachSet(family)])
      takenBy.set(`set ${name}`, "Sluice itself");
    for (const list of lists) takenBy.set(`set ${listSet(list, family)}`, `the list ${list}`);
  }
  return {
    take(kind, kernelName, who, at, report) {
      const other = takenBy.get(`${kind} ${kernelName}`);
      if (other !== undefined)
        report.problem(at, `${who} and ${other} come to the same name in the kernel`, { found: kernelName });
      else takenBy.set(`${kind} ${kernelName}`, who);
    },
  };
}

/** Takes every name that a policy will have in the kernel. */
export function takeNames(document: PolicyDocument, taken: NamesTaken, report: Reporter): void {
  const { policy } = document;
  const chain = (table: TableName, name: string, what: string, at: Spot) =>
    taken.take(table, policyChain(policy, name), `the ${what} of ${policy}`, at, report);

  for (const { table, name, others, line, column } of document.firewall.chains) {
    const at = { line, column, path: `firewall.${table}.${name}` };
    chain(table, name, `chain ${name}`, at);
    if (others !== undefined) chain(table, afterOthers(name), `part after others of ${name}`, at);
  }
  for (const { name, line, column } of document.guards)
    for (const suffix of ["", "-ban"])
      chain("filter", `g-${name}${suffix}`, `guard ${name}`, { line, column, path: `guards.${name}` });
  const [shaping] = document.shaping;
  if (shaping !== undefined)
    chain("mangle", SHAPE_CHAIN, "shaping", { line: shaping.line, column: shaping.column, path: "shaping" });
  for (const { name, type, options, line, column } of document.sets)
    for (const family of shapeOf(type, options).hasFamily ? FAMILIES : [null])
      taken.take(
        "set",
        policySet(policy, name, type, family),
        `the set ${name} of ${policy}`,
        { line, column, path: `sets.${name}` },
        report,
      );
}
