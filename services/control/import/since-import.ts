import type { ClassTree, PolicyDocument, ShapingTree } from "@sluice/proto/policy/document";
import { diffArrays } from "diff";
import type { Left } from "./write-policy.ts";

/**
 * How a server differs by now from what was imported of it: the policy beside one that is imported anew. Pure.
 *
 * Compared by what each is called in the kernel: chains and sets by their names, classes by their numbers. What an import
 * leaves now, and took before, is told with the reason.
 */
const TOLD_MAX = 20;

export function sinceImport(said: PolicyDocument, now: PolicyDocument, left: readonly Left[]): string[] {
  const [before, after] = [partsOf(said), partsOf(now)];
  const why = new Map(left.map((one) => [one.what, one.why]));
  const told = [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const reason = after.has(name) ? undefined : why.get(leftName(name));
    if (reason !== undefined) return [`${leftName(name)} can't be imported any more: ${reason}`];
    if (!after.has(name) && isOfLeftHook(name, left)) return [];
    return changesIn(name, before.get(name) ?? [], after.get(name) ?? []);
  });
  const distinct = [...new Set(told)];
  const more = distinct.length - TOLD_MAX;
  return more > 0 ? [...distinct.slice(0, TOLD_MAX), `and ${more} more`] : distinct;
}

function changesIn(name: string, before: readonly string[], after: readonly string[]): string[] {
  return diffArrays([...before], [...after]).flatMap(({ value, added, removed }) =>
    value.flatMap((line) => {
      if (added) return [`${name}: ${line} stands there, and the policy doesn't say it`];
      return removed ? [`${name}: ${line} doesn't stand there any more`] : [];
    }),
  );
}

/** What there is, by name, each with its lines in order. */
function partsOf({ firewall, sets, shaping }: PolicyDocument): Map<string, string[]> {
  return new Map([
    ...firewall.defaults.map(({ hook, verdict }): Part => [`filter/${hook} at its end`, [verdict]]),
    ...firewall.chains.map(({ table, name, rules, others }): Part => {
      const lines = rules.map(({ text, family }) => (family === undefined ? text : `${text} (IPv${family})`));
      if (others !== undefined) lines.splice(others, 0, "others");
      return [`${table}/${name}`, lines];
    }),
    ...sets.map(({ name, type, options, entries }): Part => {
      const members = entries.map(({ text }) => text).sort();
      return [`set ${name}`, [[type, ...options].join(" "), ...members]];
    }),
    ...shaping.flatMap(({ device, egress }) => (egress ? treeParts(egress, `qdisc of ${device}`) : [])),
  ]);
}

type Part = [name: string, lines: string[]];

function treeParts(tree: ShapingTree, name: string): Part[] {
  if (tree.kind === "single") return [[name, [[tree.qdisc.kind, ...tree.qdisc.args].join(" ")]]];
  const { classes, line: _line, column: _column, ...own } = tree;
  return [[name, fieldLines(own)], ...classParts(classes, name, "class ")];
}

function classParts(classes: ClassTree["classes"], device: string, path: string): Part[] {
  return classes.flatMap(({ children, inside, name: _name, line: _line, column: _column, ...own }) => {
    const filters = own.filters.map(({ text }) => text);
    const match = own.match.map(({ text }) => text);
    const id = `${path}${own.minor.toString(16)}`;
    const below = inside === undefined ? [] : treeParts(inside, `${id} of the ${device}`);
    const part: Part = [`${id} of the ${device}`, fieldLines({ ...own, filters, match })];
    return [part, ...classParts(children, device, path), ...below];
  });
}

function fieldLines(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) =>
      Array.isArray(value)
        ? value.map((one) => `${name} ${JSON.stringify(one)}`)
        : [`${name} ${JSON.stringify(value)}`],
    );
}

/** As `left` calls it. */
function leftName(name: string): string {
  return name.replace(/^class .* of the (?=qdisc of )/, "").replace(/ at its end$/, "");
}

/** A chain that only a built-in one led to which is left. */
function isOfLeftHook(name: string, left: readonly Left[]): boolean {
  const [table = ""] = name.split("/");
  return name.includes("/") && left.some(({ what }) => what.startsWith(`${table}/`));
}
