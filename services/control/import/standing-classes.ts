import { parseRateBitPerSec } from "@sluice/proto/base/units";
import type { TcClass, TcQdisc } from "@sluice/proto/manifest/manifest";
import { minorOf, optionsOf, quoted } from "./tc-words.ts";

/** A qdisc with classes, as fields of a policy's tree; `odd` is told what no policy could say. */
export interface StandingTree {
  /** beside `classes` */
  fields: string[];
  classes: StandingClass[];
  /** minor number of the default class */
  fallback: number | undefined;
}

export interface StandingClass {
  classid: string;
  parent: string;
  name: string;
  fields: string[];
}

type Tell = (why: string) => void;

const DIRECT_QLEN = "1000";

/** Undefined: a qdisc that makes no tree of its own. */
export function standingTree(
  root: TcQdisc,
  classes: readonly TcClass[],
  isLedTo: boolean,
  odd: Tell,
): StandingTree | undefined {
  switch (root.kind) {
    case "htb":
      return {
        ...htbFields(root, odd),
        classes: classes.map((one) => classOf(one, htbClassFields(one, odd))),
      };
    case "hfsc":
      return { ...hfscFields(root, odd), classes: classes.map((one) => classOf(one, curveFields(one, odd))) };
    case "prio":
      return isLedTo ? prioTree(root, odd) : undefined; // else it goes by what packets say of themselves
    default:
      return undefined;
  }
}

function classOf({ classid, parent }: TcClass, fields: string[]): StandingClass {
  const minor = minorOf(classid).toString(16);
  return { classid, parent, name: `class-${minor}`, fields: [`id: '${minor}'`, ...fields] };
}

function htbFields({ args }: TcQdisc, odd: Tell): Omit<StandingTree, "classes"> {
  const {
    default: fallback = "0",
    r2q = "10",
    direct_qlen: queue = "0",
    ...other
  } = optionsOf(args) ?? { odd: "" };
  if (Object.keys(other).length > 0) odd(`htb with ${args.join(" ")} can't be said`);
  return {
    fields: [
      ...(r2q === "10" ? [] : [`r2q: ${r2q}`]),
      ...(queue === DIRECT_QLEN ? [] : [`direct_qlen: ${queue}`]),
    ],
    fallback: Number.parseInt(fallback.replace(/^0x/, ""), 16) || undefined,
  };
}

const SHARE: ReadonlyMap<string, string> = new Map([
  ["prio", "priority"],
  ["rate", "rate"],
  ["ceil", "ceil"],
  ["burst", "burst"],
  ["cburst", "cburst"],
  ["quantum", "quantum"],
  ["overhead", "overhead"],
  ["mpu", "mpu"],
]);

/** A class's mtu is not printed, and counts for nothing where both bursts are said. */
function htbClassFields({ classid, kind, args }: TcClass, odd: Tell): string[] {
  const line = args.indexOf("linklayer"); // its value is a name like any other
  const options = optionsOf(line === -1 ? args : args.toSpliced(line, 2)) ?? {};
  const { rate, burst, cburst } = options;
  const isKnown = Object.keys(options).every((name) => SHARE.has(name));
  if (kind !== "htb" || !isKnown || !(rate && burst && cburst) || !parseRateBitPerSec(rate))
    odd(`the class ${classid} can't be said: ${kind} ${args.join(" ")}`);
  return [
    ...Object.entries(options).map(([name, value]) => `${SHARE.get(name)}: ${value}`),
    ...(line === -1 ? [] : [`linklayer: ${args[line + 1]}`]),
  ];
}

function hfscFields({ args }: TcQdisc, odd: Tell): Omit<StandingTree, "classes"> {
  const { default: fallback = "0", ...other } = optionsOf(args) ?? { odd: "" };
  if (Object.keys(other).length > 0) odd(`hfsc with ${args.join(" ")} can't be said`);
  return { fields: ["kind: hfsc"], fallback: Number.parseInt(fallback.replace(/^0x/, ""), 16) || undefined };
}

const CURVES: ReadonlyMap<string, string> = new Map([
  ["sc", "rate"],
  ["rt", "realtime"],
  ["ls", "share"],
  ["ul", "ceil"],
]);

/** `sc m1 0bit d 0us m2 10Mbit ul …`: three values for each curve, the first two 0 where it is a rate alone */
function curveFields({ classid, kind, args }: TcClass, odd: Tell): string[] {
  const words = args.join(" ");
  const curves = [...words.matchAll(/(sc|rt|ls|ul) m1 (\S+) d (\S+) m2 (\S+)(?: |$)/g)];
  const isWhole = curves.reduce((length, [text]) => length + text.length, 0) === words.length;
  // a policy counts in whole milliseconds
  if (kind !== "hfsc" || !isWhole || curves.some(([, , , time = ""]) => !/^(0us|\d+ms|\d+s)$/.test(time)))
    odd(`the class ${classid} can't be said: ${kind} ${words}`);
  return curves.map(([, curve = "", first, time, after]) => {
    const rate = time === "0us" ? after : `{ first: ${first}, for: ${time}, after: ${after} }`;
    return `${CURVES.get(curve)}: ${rate}`;
  });
}

function prioTree({ handle, args }: TcQdisc, odd: Tell): StandingTree {
  const { bands = "", priomap = "", ...other } = optionsOf(args) ?? { odd: "" };
  if (Object.keys(other).length > 0) odd(`prio with ${args.join(" ")} can't be said`);
  return {
    fields: ["kind: prio", `priomap: [${priomap.split(" ").map(quoted).join(", ")}]`],
    classes: Array.from({ length: Number(bands) || 0 }, (_, index) => {
      const minor = (index + 1).toString(16);
      return { classid: `${handle}${minor}`, parent: handle, name: `band-${index + 1}`, fields: [] };
    }),
    fallback: undefined,
  };
}
