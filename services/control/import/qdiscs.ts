import type { TcFilter, TcQdisc, TcTree } from "@sluice/proto/manifest/manifest";
import { FILTER_KINDS } from "@sluice/proto/policy/document";
import type { Present } from "@sluice/proto/wire/present";
import { type StandingClass, type StandingTree, standingTree } from "./standing-classes.ts";
import { fieldsOf, majorOf, minorOf, quoted } from "./tc-words.ts";

/**
 * A device's tree as its `shaping`, or why not. Pure.
 *
 * Every number that tc prints is said, every handle is the one that stands, every filter stands in its class in tc's own
 * words: what a policy can't say so is left, whole.
 */
export type StandingQdisc = Present["qdiscs"][number];
export type Shaped = { ok: true; lines: string[] } | { ok: false; why: string };

const ROOT = 1;

export function shapingOf({ kind, handle, tree, untold }: StandingQdisc): Shaped {
  const root = tree?.qdiscs.find(({ parent }) => parent === "root");
  if (tree === undefined || root === undefined)
    return { ok: false, why: untold ?? `its agent tells no more than ${kind} ${handle}` };
  const odd: string[] = [];
  const survey: Survey = { tree, told: new Set(), odd: (why) => odd.push(why) };
  const { isTree, fields, blocks } = qdiscParts(root, ROOT, undefined, survey);
  const [why = untoldPart(survey)] = odd;
  if (why !== undefined) return { ok: false, why };
  if (isTree) return { ok: true, lines: [...fields, ...blocks] };
  const [first = "", ...rest] = fields;
  const lines = root.kind === "tbf" ? [`tbf: { ${rest.join(", ")} }`] : [`qdisc: ${flow([first, ...rest])}`];
  return { ok: true, lines };
}

interface Survey {
  tree: TcTree;
  /** what of the tree has been said */
  told: Set<object>;
  odd(why: string): void;
}

/** What a map of YAML has: fields that stand on one line each, and blocks of lines. */
interface Parts {
  fields: string[];
  blocks: string[];
}

/** `number` is the handle that a policy gives it unless told, `around` that of the class it is in. */
function qdiscParts(
  qdisc: TcQdisc,
  number: number,
  around: number | undefined,
  survey: Survey,
): Parts & { isTree: boolean } {
  const { tree, told, odd } = survey;
  const { kind, handle, args } = qdisc;
  told.add(qdisc);
  const own = majorOf(handle) === number ? [] : [`handle: '${handle.slice(0, -1)}'`];
  const isLedTo =
    tree.filters.some(({ parent }) => parent === handle) ||
    tree.qdiscs.some(({ parent }) => parent.startsWith(handle));
  const classes = tree.classes.filter(({ classid }) => classid.startsWith(handle));
  const standing = standingTree(qdisc, classes, isLedTo, odd);
  if (standing === undefined) {
    const said = fieldsOf(args);
    if (said === undefined) odd(`the words of ${kind} ${handle} can't be told apart: ${args.join(" ")}`);
    return { isTree: false, fields: [`kind: ${kind}`, ...own, ...(said ?? [])], blocks: [] };
  }
  for (const one of classes) told.add(one);
  if (standing.classes.length === 0) odd(`the ${kind} ${handle} has no class`);
  const lines = classLines(handle, { qdisc, standing, around, survey });
  const placed = lines.placed.size;
  if (placed < standing.classes.length) odd("part of it hangs on nothing that a policy has");
  checkDefault(qdisc, standing, odd);
  return {
    isTree: true,
    fields: [...standing.fields, ...own],
    blocks: ["classes:", ...indented(lines.lines)],
  };
}

interface Level {
  qdisc: TcQdisc;
  standing: StandingTree;
  around: number | undefined;
  survey: Survey;
}

function classLines(parent: string, level: Level): { lines: string[]; placed: Set<StandingClass> } {
  const { qdisc, standing, around, survey } = level;
  const placed = new Set<StandingClass>();
  const lines = standing.classes
    .filter((one) => one.parent === parent)
    .sort((a, b) => minorOf(a.classid) - minorOf(b.classid))
    .flatMap((one) => {
      placed.add(one);
      const below = classLines(one.classid, level);
      for (const child of below.placed) placed.add(child);
      const minor = minorOf(one.classid);
      const own = qdisc.kind === "prio" ? minor << 4 : minor;
      const number = around === undefined ? own : (around << 8) | own;
      const inside = insideParts(one.classid, number, survey);
      return entry(one.name, {
        fields: [...one.fields, ...(minor === standing.fallback ? ["default: true"] : []), ...inside.fields],
        blocks: [
          ...filterLines(qdisc, one.classid, survey),
          ...inside.blocks,
          ...(below.lines.length > 0 ? ["classes:", ...indented(below.lines)] : []),
        ],
      });
    });
  return { lines, placed };
}

function insideParts(classid: string, number: number, survey: Survey): Parts {
  const inside = survey.tree.qdiscs.find(({ parent }) => parent === classid);
  if (inside === undefined) return { fields: [], blocks: [] };
  const { isTree, fields, blocks } = qdiscParts(inside, number, number, survey);
  if (!isTree) return { fields: [`leaf: ${flow(fields)}`], blocks: [] };
  return { fields: [], blocks: ["leaf:", ...indented([...fields, ...blocks])] };
}

function filterLines({ handle }: TcQdisc, classid: string, { tree, told }: Survey): string[] {
  const own = tree.filters.filter(
    (one) =>
      one.parent === handle && leadsTo(one) === classid && FILTER_KINDS.some((kind) => kind === one.kind),
  );
  for (const one of own) told.add(one);
  return own.length === 0 ? [] : ["filters:", ...own.map((one) => `  - ${quoted(filterText(one))}`)];
}

function filterText({ protocol, prio, handle, kind, args }: TcFilter): string {
  const at = args.findIndex(isToClass);
  const rest = args.filter((_, index) => index !== at && index !== at + 1);
  const place = handle.replace(/^::/, "800::"); // as tc shows the first table
  return ["protocol", protocol, "prio", prio, "handle", place, kind, ...rest].join(" ");
}

function leadsTo({ args }: TcFilter): string | undefined {
  const at = args.findIndex(isToClass);
  return at < 0 ? undefined : args[at + 1];
}

function isToClass(word: string): boolean {
  return word === "flowid" || word === "classid";
}

function checkDefault({ handle }: TcQdisc, { classes, fallback }: StandingTree, odd: Survey["odd"]): void {
  if (fallback === undefined) return;
  const taken = classes.find(({ classid }) => minorOf(classid) === fallback);
  const isInner = classes.some(({ parent }) => parent === taken?.classid);
  if (taken === undefined || isInner)
    odd(`its default is ${handle}${fallback.toString(16)}, which is no class that could have packets`);
}

/** What of the tree no policy could say. */
function untoldPart({ tree, told }: Survey): string | undefined {
  const filter = tree.filters.find((one) => !told.has(one));
  if (filter !== undefined) {
    const { kind, parent, prio } = filter;
    const what = `the ${kind} filter of prio ${prio} on ${parent}`;
    const to = leadsTo(filter);
    return to === undefined ? `${what} leads to no class` : `${what} leads to ${to} as no policy can say it`;
  }
  const part = [...tree.classes, ...tree.qdiscs].find((one) => !told.has(one));
  if (part === undefined) return undefined;
  const id = "classid" in part ? `class ${part.classid}` : part.handle;
  return `${part.kind} ${id} hangs on ${part.parent}, and a policy has nothing there`;
}

function entry(name: string, { fields, blocks }: Parts): string[] {
  if (blocks.length === 0) return [`${name}: ${flow(fields)}`];
  return [`${name}:`, ...indented([...fields, ...blocks])];
}

function flow(fields: readonly string[]): string {
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
