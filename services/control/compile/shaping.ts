import { type Family, ifbDevice, policyChain } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { ManifestDevice, ManifestRule, Origin, TcFilter, TcTree } from "@sluice/proto/manifest/manifest";
import type { PolicyShaping, ShapingTree } from "@sluice/proto/policy/document";
import { classFilters } from "./class-filters.ts";
import { listed, placeOf, type Reporter, type Spot } from "./findings.ts";
import { renderRule } from "./firewall.ts";
import { compareText } from "./input.ts";
import { classifierFor, leadRules, markFilters, packetFilters } from "./leads.ts";
import type { CompiledRule, RuleScope } from "./rule.ts";
import { buildTree } from "./tree.ts";

/**
 * Shaping: a tree of qdiscs per device and direction, and what leads packets into its classes (leads.ts).
 *
 * 1. What comes in goes through an IFB device; the ingress qdisc and the redirect to it belong to the tc driver.
 * 2. A direction of a device belongs to one policy: two would each undo the other's root.
 */
export interface Shaping {
  devices: Map<string, ManifestDevice>;
  owners: Map<string, Origin>;
}

/** The chain of a policy's class rules, as rules of both families. */
export const SHAPE_CHAIN = "shape";

export function createShaping(): Shaping {
  return { devices: new Map(), owners: new Map() };
}

/** Adds one policy's devices, by the names that are `written` in it; returns its class rules for mangle POSTROUTING. */
export function addShaping(
  shaping: Shaping,
  shapings: readonly PolicyShaping[],
  written: readonly PolicyShaping[],
  facts: Facts,
  families: readonly Family[],
  scope: Omit<RuleScope, "table">,
): CompiledRule[] {
  const { report } = scope;
  return shapings.flatMap(({ device, egress, ingress, line, column }, index) => {
    const at: Spot = { line, column, path: `shaping.${written[index]?.device ?? device}` };
    const present = facts.devices.map(({ name }) => name).sort(compareText);
    if (!present.includes(device)) {
      report.problem(at, `this server has no device ${device}`, {
        found: device,
        expected: listed(present, "no device at all"),
      });
      return [];
    }
    const made: ManifestDevice = shaping.devices.get(device) ?? { device };
    shaping.devices.set(device, made);
    let rules: CompiledRule[] = [];
    if (ingress !== undefined && own(shaping, `what comes in on ${device}`, at, report)) {
      const spot = { line: ingress.line, column: ingress.column, path: `${at.path}.ingress` };
      if (!facts.capabilities.ifb)
        report.problem(spot, "this kernel has no ifb device, so what comes in can't be shaped");
      const { tree } = shapedTree(
        ingress,
        { direction: "ingress", device, at: spot },
        facts,
        families,
        scope,
      );
      made.ingress = { ifb: ifbDevice(device), tree };
    }
    if (egress !== undefined && own(shaping, `what goes out on ${device}`, at, report)) {
      const shaped = shapedTree(egress, { direction: "egress", device, at }, facts, families, scope);
      made.egress = shaped.tree;
      rules = shaped.rules;
    }
    return rules;
  });
}

/** The chain's rules of one family; no chain where there are none. */
export function renderShapeChain(policy: string, rules: readonly CompiledRule[], family: Family) {
  const own: ManifestRule[] = rules
    .filter((rule) => rule.families.includes(family))
    .map((rule) => renderRule(rule, family));
  const name = policyChain(policy, SHAPE_CHAIN);
  return own.length === 0 ? [] : [{ family, table: "mangle" as const, name, rules: own }];
}

/** A tree with its filters, and the rules that lead into it. */
function shapedTree(
  shaping: ShapingTree,
  { direction, device, at }: { direction: "egress" | "ingress"; device: string; at: Spot },
  facts: Facts,
  families: readonly Family[],
  scope: Omit<RuleScope, "table">,
): { tree: TcTree; rules: CompiledRule[] } {
  const { report } = scope;
  const { tree, leads } = buildTree(shaping, facts, at, report);
  const { filters, rules } = matchesLead();
  return { tree: { ...tree, filters: [...filters, ...classFilters(leads, filters, facts, report)] }, rules };

  function matchesLead(): { filters: TcFilter[]; rules: CompiledRule[] } {
    const first = leads.find(({ shaped }) => shaped.match.length > 0);
    if (shaping.kind === "single" || first === undefined) return { filters: [], rules: [] };
    const by = classifierFor(shaping.by, direction, facts, first.at, report);
    switch (by) {
      case undefined:
        return { filters: [], rules: [] };
      case "fw":
      case "classify": {
        const filters = by === "fw" ? markFilters(leads, families, report) : [];
        return { filters, rules: leadRules(leads, by, device, scope) };
      }
      case "u32":
      case "flower": {
        const seen = direction === "ingress" ? "an ingress class" : `a class by ${by}`;
        return { filters: packetFilters(leads, by, seen, families, facts, report), rules: [] };
      }
    }
  }
}

function own({ owners }: Shaping, what: string, at: Spot, report: Reporter): boolean {
  const before = owners.get(what);
  if (before !== undefined) {
    report.problem(
      at,
      `${what} is shaped twice: by ${placeOf(before)} and by ${report.policy} line ${at.line}`,
    );
    return false;
  }
  owners.set(what, report.origin(at));
  return true;
}
