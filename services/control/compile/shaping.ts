import { type Family, ifbDevice, policyChain } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { ManifestDevice, ManifestRule, Origin, TcFilter, TcTree } from "@sluice/proto/manifest/manifest";
import type { PolicyShaping, ShapingTree } from "@sluice/proto/policy/document";
import { listed, placeOf, type Reporter, type Spot } from "./findings.ts";
import { renderRule } from "./firewall.ts";
import {
  checkTree,
  htbClass,
  leafQdisc,
  type PlacedClass,
  placeClasses,
  ROOT_HANDLE,
  rootQdisc,
} from "./htb.ts";
import { compareText } from "./input.ts";
import { checkQdisc, qdiscArgs } from "./qdisc.ts";
import { type CompiledRule, compileRule, type RuleScope } from "./rule.ts";
import { u32Match } from "./u32.ts";

/**
 * Shaping: a tree of qdiscs per device and direction, and what leads packets into its classes.
 *
 * 1. Going out: a rule in mangle POSTROUTING, which sees what is sent and what is forwarded. Where the kernel has `fw`
 *    the rule marks and a filter leads the mark to its class; elsewhere CLASSIFY names the class itself.
 * 2. Coming in: u32 filters on an IFB device; the ingress qdisc and the redirect to it belong to the tc driver.
 * 3. The first class that matches wins. MARK and CLASSIFY go on to the next rule and the last one stays, so their rules
 *    stand in reverse order; u32 filters end at the first, so they stand in order.
 * 4. A direction of a device belongs to one policy: two would each undo the other's root.
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
  return shapings.flatMap(({ device, egress, ingress, line }, index) => {
    const at: Spot = { line, path: `shaping.${written[index]?.device ?? device}` };
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
      const spot = { line: ingress.line, path: `${at.path}.ingress` };
      if (!facts.capabilities.ifb)
        report.problem(spot, "this kernel has no ifb device, so what comes in can't be shaped");
      made.ingress = { ifb: ifbDevice(device), tree: ingressTree(ingress, facts, families, spot, report) };
    }
    if (egress !== undefined && own(shaping, `what goes out on ${device}`, at, report)) {
      const placed = egress.kind === "htb" ? placeClasses(egress, at.path) : [];
      const withMarks = facts.capabilities.filters.includes("fw");
      made.egress = buildTree(egress, placed, facts, at, report);
      if (withMarks) made.egress.filters = placed.flatMap((place) => markFilters(place, families, report));
      rules = placed.toReversed().flatMap((place) => classRules(place, device, withMarks, facts, scope));
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

function buildTree(
  tree: ShapingTree,
  placed: readonly PlacedClass[],
  facts: Facts,
  at: Spot,
  report: Reporter,
): TcTree {
  if (tree.kind === "single") {
    checkQdisc(tree.qdisc, facts, { line: tree.line, path: at.path }, report);
    const { kind } = tree.qdisc;
    const args = qdiscArgs(tree.qdisc);
    return {
      qdiscs: [{ parent: "root", handle: ROOT_HANDLE, kind, args, origin: report.origin(at) }],
      classes: [],
      filters: [],
    };
  }
  checkQdisc({ kind: "htb", args: [] }, facts, { line: tree.line, path: at.path }, report);
  checkTree(placed, report);
  return {
    qdiscs: [
      rootQdisc(tree, placed, at, report),
      ...placed.flatMap((place) => leafQdisc(place, facts, report)),
    ],
    classes: placed.map((place) => htbClass(place, tree.r2q, report)),
    filters: [],
  };
}

function classRules(
  { shaped, classid, at }: PlacedClass,
  device: string,
  withMarks: boolean,
  facts: Facts,
  scope: Omit<RuleScope, "table">,
): CompiledRule[] {
  if (shaped.match.length === 0) return [];
  const [target, ...args] = withMarks
    ? ["MARK", "--set-mark", String(shaped.mark)]
    : ["CLASSIFY", "--set-class", classid];
  if (!facts.capabilities.targets.includes(target))
    scope.report.problem(
      at,
      `this kernel has no ${withMarks ? "MARK target" : "fw filter and no CLASSIFY target"}, so nothing leads to a class`,
    );
  return shaped.match.map((match, index) => {
    const path = `${at.path}.match[${index}]`;
    if (match.words.some((word) => ["-j", "--jump", "-g", "--goto", "-o", "--out-interface"].includes(word)))
      scope.report.problem(
        { line: match.line, column: match.column, path },
        "a match has no target and no device of its own",
        {
          found: match.text,
        },
      );
    const words = ["-o", device, ...match.words, "-j", target, ...args];
    return compileRule({ ...match, words }, path, { ...scope, table: "mangle" });
  });
}

/** A prio can hold only one protocol, so each family has its own. */
function markFilters(
  { shaped, classid, at }: PlacedClass,
  families: readonly Family[],
  report: Reporter,
): TcFilter[] {
  if (shaped.match.length === 0) return [];
  return families.map((family) => ({
    parent: ROOT_HANDLE,
    protocol: family === 4 ? "ip" : "ipv6",
    prio: family === 4 ? 1 : 2,
    handle: String(shaped.mark),
    kind: "fw",
    args: ["flowid", classid],
    origin: report.origin(at),
  }));
}

/**
 * All u32 filters of a tree share one prio and protocol, so that their handles (`800::N`) depend on nothing but their
 * order. The kernel keeps a filter's old keys when its handle is replaced: a changed one must be deleted first.
 */
function ingressTree(
  tree: ShapingTree,
  facts: Facts,
  families: readonly Family[],
  at: Spot,
  report: Reporter,
): TcTree {
  const placed = tree.kind === "htb" ? placeClasses(tree, at.path) : [];
  const built = buildTree(tree, placed, facts, at, report);
  if (!facts.capabilities.filters.includes("u32") && placed.some(({ shaped }) => shaped.match.length > 0))
    report.problem(at, "this kernel has no u32 filter, so nothing leads to a class of what comes in", {
      expected: listed([...facts.capabilities.filters].sort(compareText), "no filter at all"),
    });
  for (const place of placed)
    for (const [index, rule] of place.shaped.match.entries()) {
      const match = u32Match(rule.words, rule.family);
      const spot = { line: rule.line, column: rule.column, path: `${place.at.path}.match[${index}]` };
      if (!match.ok) {
        report.problem(spot, match.reason, { found: match.found });
        continue;
      }
      for (const { family, keys } of match.filters)
        if (families.includes(family))
          built.filters.push({
            parent: ROOT_HANDLE,
            protocol: "all",
            prio: 1,
            handle: `800::${(built.filters.length + 1).toString(16)}`,
            kind: "u32",
            args: [...keys, "flowid", place.classid],
            origin: report.origin(spot),
          });
    }
  return built;
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
