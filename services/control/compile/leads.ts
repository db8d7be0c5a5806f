import type { Family } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { TcFilter } from "@sluice/proto/manifest/manifest";
import { CLASSIFIERS, type Classifier } from "@sluice/proto/policy/document";
import { listed, type Reporter, type Spot } from "./findings.ts";
import { flowerFilters } from "./flower.ts";
import { FILTERS_MAX, type PacketMatch, packetMatch } from "./packet-match.ts";
import { type CompiledRule, compileRule, type RuleScope } from "./rule.ts";
import type { Lead } from "./tree.ts";
import { u32Filters } from "./u32.ts";

/**
 * What leads packets into classes.
 *
 * | by | how | needs |
 * |---|---|---|
 * | fw | a rule marks, a filter leads the mark to its class | MARK, fw |
 * | classify | a rule names the class | CLASSIFY; no tree inside of a class, for a packet can be given one class only |
 * | u32, flower | filters that look into the packet | u32, flower; matches that the packet alone can answer |
 *
 * The first class that matches wins. MARK and CLASSIFY go on to the next rule and the last one stays, so their rules
 * stand in reverse order; filters end at the first, so they stand in order.
 */
const GOING_OUT: readonly Classifier[] = ["fw", "classify"];
const COMING_IN: readonly Classifier[] = ["u32", "flower"];

const NEEDED: Readonly<Record<Classifier, readonly ["filter" | "target", string][]>> = {
  fw: [
    ["filter", "fw"],
    ["target", "MARK"],
  ],
  classify: [["target", "CLASSIFY"]],
  u32: [["filter", "u32"]],
  flower: [["filter", "flower"]],
};

/** What the policy says, else the first that this kernel can do; undefined, with a problem, where there is none. */
export function classifierFor(
  said: Classifier | undefined,
  direction: "egress" | "ingress",
  { capabilities }: Facts,
  at: Spot,
  report: Reporter,
): Classifier | undefined {
  const lacks = (by: Classifier) =>
    NEEDED[by].filter(([what, name]) => !capabilities[`${what}s`].includes(name));
  const choices = said === undefined ? (direction === "egress" ? GOING_OUT : COMING_IN) : [said];
  const found = choices.find((by) => lacks(by).length === 0);
  if (found !== undefined) return found;
  const missing = choices.flatMap(lacks).map(([what, name]) => `no ${name} ${what}`);
  const possible = CLASSIFIERS.filter((by) => lacks(by).length === 0);
  report.problem(at, `this kernel has ${missing.join(" and ")}, so nothing leads to a class`, {
    found: said === undefined ? "nothing that could" : `by: ${said}`,
    expected: listed(
      possible.map((by) => `by: ${by}`),
      "a kernel that has one of them",
    ),
  });
  return undefined;
}

/** The rules of mangle POSTROUTING, which sees what is sent and what is forwarded. */
export function leadRules(
  leads: readonly Lead[],
  by: "fw" | "classify",
  device: string,
  scope: Omit<RuleScope, "table">,
): CompiledRule[] {
  return leads.toReversed().flatMap(({ shaped, way, at }) => {
    if (by === "classify" && way.length > 1 && shaped.match.length > 0)
      scope.report.problem(
        at,
        "this kernel has no fw filter, and CLASSIFY leads no packet on to a class inside of a class",
        { found: shaped.name, expected: "by: u32 or by: flower, or classes on the device alone" },
      );
    const target =
      by === "fw"
        ? ["MARK", "--set-mark", String(shaped.mark)]
        : ["CLASSIFY", "--set-class", way.at(-1)?.classid ?? ""];
    return shaped.match.map((match, index) => {
      const path = `${at.path}.match[${index}]`;
      if (
        match.words.some((word) => ["-j", "--jump", "-g", "--goto", "-o", "--out-interface"].includes(word))
      )
        scope.report.problem(
          { line: match.line, column: match.column, path },
          "a match has no target and no device of its own",
          { found: match.text },
        );
      const words = ["-o", device, ...match.words, "-j", ...target];
      return compileRule({ ...match, words }, path, { ...scope, table: "mangle" });
    });
  });
}

/** A filter for each mark in each qdisc on its way. A prio can hold only one protocol, so each family has its own. */
export function markFilters(
  leads: readonly Lead[],
  families: readonly Family[],
  report: Reporter,
): TcFilter[] {
  return leads
    .filter(({ shaped }) => shaped.match.length > 0)
    .flatMap(({ shaped, way, at }) =>
      way.flatMap(({ qdisc, classid }) =>
        families.map((family) => ({
          parent: qdisc,
          protocol: family === 4 ? "ip" : "ipv6",
          prio: family === 4 ? 1 : 2,
          handle: String(shaped.mark),
          kind: "fw",
          args: ["flowid", classid],
          origin: report.origin(at),
        })),
      ),
    );
}

type Keys = { family: Family; keys: string[] };

/**
 * All u32 filters of a qdisc share one prio and protocol, so that their handles (`800::N`) depend on nothing but their
 * order. The kernel keeps a filter's old keys when its handle is replaced: a changed one must be deleted first.
 * Flower looks up by mask first, so there each filter has a prio of its own. `all` comes last.
 */
export function packetFilters(
  leads: readonly Lead[],
  by: "u32" | "flower",
  seen: string,
  families: readonly Family[],
  facts: Facts,
  report: Reporter,
): TcFilter[] {
  const filters: TcFilter[] = [];
  const last = new Map<string, number>();
  let everything: string | undefined;

  function push(
    way: Lead["way"],
    origin: TcFilter["origin"],
    made: (n: number, flow: string[]) => Made,
  ): void {
    for (const { qdisc, classid } of way) {
      const n = (last.get(qdisc) ?? 0) + 1;
      last.set(qdisc, n);
      filters.push({ parent: qdisc, ...made(n, ["flowid", classid]), origin });
    }
  }

  for (const { shaped, way, at } of leads)
    for (const [index, rule] of shaped.match.entries()) {
      const spot = { line: rule.line, column: rule.column, path: `${at.path}.match[${index}]` };
      const origin = report.origin(spot);
      if (everything !== undefined)
        report.problem(spot, `${everything} takes all packets before ${shaped.name} is asked`, {
          found: rule.text,
          expected: `${everything} behind it`,
        });
      if (rule.words.length === 0 && rule.family === undefined) {
        everything = shaped.name;
        push(way, origin, allFilter(facts, by));
        continue;
      }
      const matched = packetMatch(rule.words, rule.family, seen);
      const keys = matched.ok ? keysOf(matched.match, by) : [];
      if (!matched.ok) report.problem(spot, matched.reason, { found: matched.found });
      else if (keys.length > FILTERS_MAX)
        report.problem(spot, `this match needs ${keys.length} filters, more than ${FILTERS_MAX}`, {
          found: rule.text,
        });
      else
        for (const one of keys)
          if (families.includes(one.family))
            push(way, origin, by === "u32" ? u32Filter(one) : flowerFilter(one));
    }
  return filters;
}

type Made = Pick<TcFilter, "protocol" | "prio" | "handle" | "kind" | "args">;

function keysOf(match: PacketMatch, by: "u32" | "flower"): Keys[] {
  return by === "u32" ? u32Filters(match) : flowerFilters(match);
}

function u32Filter({ keys }: Keys) {
  return (n: number, flow: string[]): Made => ({
    protocol: "all",
    prio: 1,
    handle: `800::${n.toString(16)}`,
    kind: "u32",
    args: [...keys, ...flow],
  });
}

function flowerFilter({ family, keys }: Keys) {
  return (n: number, flow: string[]): Made => ({
    protocol: family === 4 ? "ip" : "ipv6",
    prio: n,
    handle: "1",
    kind: "flower",
    args: [...keys, ...flow.map((word) => (word === "flowid" ? "classid" : word))],
  });
}

/** Behind all others: matchall, and where the kernel has none what looks at nothing. */
function allFilter({ capabilities }: Facts, by: "u32" | "flower") {
  const kind = capabilities.filters.includes("matchall") ? "matchall" : by;
  return (n: number, [, classid = ""]: string[]): Made => ({
    protocol: "all",
    prio: by === "u32" ? 2 : n,
    handle: kind === "u32" ? "800::1" : "1",
    kind,
    args: kind === "u32" ? ["match", "u32", "0", "0", "flowid", classid] : ["classid", classid],
  });
}
