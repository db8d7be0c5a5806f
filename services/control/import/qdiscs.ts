import { parseRateBitPerSec } from "@sluice/proto/base/units";
import type { TcClass, TcQdisc, TcTree } from "@sluice/proto/manifest/manifest";
import type { Present } from "@sluice/proto/wire/present";

/**
 * A device's tree as its `shaping`, or why not. Pure.
 *
 * Every number that tc prints is said, every handle is the one that stands: what a policy can't say so is left, whole. A
 * class's mtu is not printed, and counts for nothing where both bursts are said.
 */
export type StandingQdisc = Present["qdiscs"][number];
export type Shaped = { ok: true; lines: string[] } | { ok: false; why: string };

/** What every policy's htb has. */
const ROOT = "1:";
const DIRECT_QLEN = "1000";

export function shapingOf({ kind, handle, tree, untold }: StandingQdisc): Shaped {
  if (tree === undefined) return left(untold ?? `its agent tells no more than ${kind} ${handle}`);
  const [root] = tree.qdiscs.filter(({ parent }) => parent === "root");
  if (root === undefined || handle !== ROOT)
    return left(`the handle of its ${kind} is ${handle}, and a policy's is ${ROOT}`);
  if (tree.filters.length > 0)
    return left(`filters lead to its classes (${tree.filters[0]?.kind}), which can't be imported yet`);
  if (kind === "htb") return htbOf(root, tree);
  if (tree.qdiscs.length > 1 || tree.classes.length > 0)
    return left(`a ${kind} with classes can't be imported yet`);
  return singleOf(root);
}

function left(why: string): Shaped {
  return { ok: false, why };
}

function singleOf({ kind, args }: TcQdisc): Shaped {
  const said = pairs(args);
  if (said === undefined) return left(`its words can't be told apart: ${args.join(" ")}`);
  if (kind === "tbf") return { ok: true, lines: [`tbf: { ${said.join(", ")} }`] };
  return { ok: true, lines: [`qdisc: { ${[`kind: ${kind}`, ...said].join(", ")} }`] };
}

function htbOf(root: TcQdisc, { qdiscs, classes }: TcTree): Shaped {
  const { default: fallback = "0", r2q = "10", direct_qlen, ...other } = optionsOf(root.args) ?? { odd: "" };
  if (Object.keys(other).length > 0) return left(`htb with ${root.args.join(" ")} can't be said`);
  if (direct_qlen !== DIRECT_QLEN)
    return left(`its direct_qlen is ${direct_qlen}, and a policy's is ${DIRECT_QLEN}`);
  const minor = Number.parseInt(fallback.replace(/^0x/, ""), 16);
  const taken = classes.find(({ classid }) => minorOf(classid) === minor);
  const isInner = classes.some(({ parent }) => parent === taken?.classid);
  if (minor !== 0 && (taken === undefined || isInner))
    return left(`its default is 1:${minor.toString(16)}, which is no class that could have packets`);
  const odd: string[] = [];
  const linesUnder = (parent: string, indent: string): string[] =>
    classes
      .filter((one) => one.parent === parent)
      .sort((a, b) => minorOf(a.classid) - minorOf(b.classid))
      .flatMap((one) => {
        const below = linesUnder(one.classid, `${indent}    `);
        const leaves = qdiscs.filter((qdisc) => qdisc.parent === one.classid);
        const said = [
          ...shareOf(one, odd),
          ...(one === taken ? ["default: true"] : []),
          ...leaves.flatMap((leaf) => leafOf(leaf, one, odd)),
        ];
        const name = `class-${one.classid.slice(ROOT.length)}`;
        if (below.length === 0) return [`${indent}${name}: { ${said.join(", ")} }`];
        return [
          `${indent}${name}:`,
          ...said.map((line) => `${indent}  ${line}`),
          `${indent}  classes:`,
          ...below,
        ];
      });
  const lines = linesUnder(root.handle, "  ");
  if (classes.length === 0) return left("it has no class");
  const placed = lines.filter((line) => /^ +class-/.test(line)).length;
  if (placed !== classes.length || qdiscs.some(({ parent }) => !isPlaced(parent, classes)))
    odd.push("part of it hangs on nothing that a policy has");
  const [first] = odd;
  if (first !== undefined) return left(first);
  return { ok: true, lines: [...(r2q === "10" ? [] : [`r2q: ${r2q}`]), "classes:", ...lines] };
}

function isPlaced(parent: string, classes: readonly TcClass[]): boolean {
  return parent === "root" || classes.some(({ classid }) => classid === parent);
}

const SHARE: Readonly<Record<string, string>> = {
  prio: "priority",
  rate: "rate",
  ceil: "ceil",
  burst: "burst",
  cburst: "cburst",
  quantum: "quantum",
};

function shareOf({ classid, kind, args }: TcClass, odd: string[]): string[] {
  const options = optionsOf(args);
  const unknown = Object.keys(options ?? {}).filter((name) => SHARE[name] === undefined);
  const { rate, burst, cburst } = options ?? {};
  if (kind !== "htb" || unknown.length > 0 || !(rate && burst && cburst) || !parseRateBitPerSec(rate))
    odd.push(`the class ${classid} can't be said: ${kind} ${args.join(" ")}`);
  return [
    `id: '${classid.slice(ROOT.length)}'`,
    ...Object.entries(options ?? {}).map(([name, value]) => `${SHARE[name]}: ${value}`),
  ];
}

function leafOf({ handle, kind, args }: TcQdisc, { classid }: TcClass, odd: string[]): string[] {
  const said = pairs(args);
  if (handle !== `${classid.slice(ROOT.length)}:`)
    odd.push(`the ${kind} in ${classid} has the handle ${handle}, and a policy's is that of its class`);
  if (said === undefined) odd.push(`the words of the ${kind} in ${classid} can't be told apart`);
  return [`leaf: { ${[`kind: ${kind}`, ...(said ?? [])].join(", ")} }`];
}

function minorOf(classid: string): number {
  return Number.parseInt(classid.slice(classid.indexOf(":") + 1), 16);
}

/** `limit 50 ecn` → `limit: '50'`, `ecn: true`; undefined where a name stands twice or a value without one. */
function pairs(args: readonly string[]): string[] | undefined {
  const options = optionsOf(args);
  return (
    options &&
    Object.entries(options).map(([name, value]) => {
      const words = value.split(" ").filter((word) => word !== "");
      if (words.length === 0) return `${name}: true`;
      const [only] = words;
      return words.length === 1
        ? `${name}: '${only}'`
        : `${name}: [${words.map((word) => `'${word}'`).join(", ")}]`;
    })
  );
}

function optionsOf(args: readonly string[]): Record<string, string> | undefined {
  const options: Record<string, string> = {};
  let name: string | undefined;
  for (const word of args) {
    if (/^[a-z][a-z0-9_]*$/.test(word)) {
      if (Object.hasOwn(options, word)) return undefined;
      name = word;
      options[name] = "";
    } else if (name === undefined || /['\\\s]/.test(word)) return undefined;
    else options[name] = `${options[name]} ${word}`.trim();
  }
  return options;
}
