import type { Facts } from "@sluice/proto/manifest/facts";
import type { TcClass, TcQdisc } from "@sluice/proto/manifest/manifest";
import type { ShapingClass, ShapingTree } from "@sluice/proto/policy/document";
import type { Reporter, Spot } from "./findings.ts";
import { checkQdisc, FRAME_BYTES, qdiscArgs } from "./qdisc.ts";

/**
 * An HTB tree as tc takes it: root `1:`, classes parents first, each with its numbers said in full.
 *
 * | said | where the policy doesn't say it |
 * |---|---|
 * | mtu | 1500 |
 * | burst, cburst | what the rate (the ceil) carries in 1 ms, and one mtu |
 * | quantum | rate in bytes / r2q (10), at least one full frame, at most 200,000: so the kernel never warns of it |
 * | direct_qlen | 1000, else it would be the device's queue length |
 */
export type HtbTree = Extract<ShapingTree, { kind: "htb" }>;

/** A class with its place in the tree, in the order written, parents before children. */
export interface PlacedClass {
  shaped: ShapingClass;
  classid: string;
  parent: string;
  at: Spot;
}

export const ROOT_HANDLE = "1:";
const DEFAULT_MTU_BYTES = 1500;
const DEFAULT_R2Q = 10;
const QUANTUM_MAX_BYTES = 200_000;

export function placeClasses(tree: HtbTree, path: string): PlacedClass[] {
  const place = (classes: readonly ShapingClass[], parent: string, above: string): PlacedClass[] =>
    classes.flatMap((shaped) => {
      const classid = `1:${shaped.minor.toString(16)}`;
      const at = { line: shaped.line, path: `${above}.classes.${shaped.name}` };
      return [{ shaped, classid, parent, at }, ...place(shaped.children, classid, at.path)];
    });
  return place(tree.classes, ROOT_HANDLE, path);
}

export function rootQdisc(
  tree: HtbTree,
  placed: readonly PlacedClass[],
  at: Spot,
  report: Reporter,
): TcQdisc {
  const fallback = placed.find(({ shaped }) => shaped.isDefault);
  const args = ["default", fallback?.shaped.minor.toString(16) ?? "0"];
  if (tree.r2q !== undefined) args.push("r2q", String(tree.r2q));
  args.push("direct_qlen", "1000");
  return { parent: "root", handle: ROOT_HANDLE, kind: "htb", args, origin: report.origin(at) };
}

export function htbClass(
  { shaped, classid, parent, at }: PlacedClass,
  r2q: number | undefined,
  report: Reporter,
): TcClass {
  const { rateBitPerSec: rate, ceilBitPerSec: ceil } = shaped;
  const mtu = shaped.mtuBytes ?? DEFAULT_MTU_BYTES;
  const isLeaf = shaped.children.length === 0;
  const args = [
    ["rate", formatRate(rate)],
    ["ceil", formatRate(ceil)],
    ...(isLeaf ? [["prio", String(shaped.priority ?? 0)]] : []), // HTB ignores it above the leaves
    ["mtu", String(mtu)],
    ["burst", String(shaped.burstBytes ?? burstBytes(rate, mtu))],
    ["cburst", String(shaped.cburstBytes ?? burstBytes(ceil, mtu))],
    ["quantum", String(shaped.quantumBytes ?? quantumBytes(rate, r2q ?? DEFAULT_R2Q))],
  ].flat();
  return { parent, classid, kind: "htb", args, origin: report.origin(at) };
}

export function leafQdisc({ shaped, classid, at }: PlacedClass, facts: Facts, report: Reporter): TcQdisc[] {
  if (shaped.leaf === undefined) return [];
  const { kind } = shaped.leaf;
  checkQdisc(shaped.leaf, facts, { ...at, path: `${at.path}.leaf` }, report);
  const handle = `${shaped.minor.toString(16)}:`;
  return [{ parent: classid, handle, kind, args: qdiscArgs(shaped.leaf), origin: report.origin(at) }];
}

/** What would make a tree other than the one that is written, or none at all. */
export function checkTree(placed: readonly PlacedClass[], report: Reporter): void {
  const seen = { minor: new Map<number, string>(), mark: new Map<number, string>() };
  let fallback: PlacedClass | undefined;
  for (const place of placed) {
    const { shaped, at } = place;
    const { name, leaf, minor } = shaped;
    for (const key of ["minor", "mark"] as const) {
      const other = seen[key].get(shaped[key]);
      if (other !== undefined)
        report.problem(at, `the classes ${other} and ${name} have the same ${key}`, {
          found: String(shaped[key]),
        });
      seen[key].set(shaped[key], name);
    }
    if (shaped.isDefault && fallback !== undefined)
      report.problem(at, `both ${fallback.shaped.name} and ${name} are the default class`);
    fallback = shaped.isDefault ? place : fallback;
    if (shaped.ceilBitPerSec < shaped.rateBitPerSec)
      report.problem(at, `the ceil of ${name} is below its rate`, {
        found: formatRate(shaped.ceilBitPerSec),
        expected: `at least ${formatRate(shaped.rateBitPerSec)}`,
      });
    if (leaf !== undefined && (minor === 1 || minor === 0xffff))
      report.problem(
        at,
        `the class ${name} can't have a leaf qdisc: its handle ${minor.toString(16)}: is taken`,
        {
          expected: "another number than 1 and ffff",
        },
      );
    if (shaped.children.length > 0) checkInner(place, report);
  }
}

function checkInner({ shaped, at }: PlacedClass, report: Reporter): void {
  const { name, children } = shaped;
  if (shaped.leaf !== undefined)
    report.problem(at, `the class ${name} has classes below it, so it can't have a leaf qdisc`);
  if (shaped.match.length > 0 || shaped.isDefault)
    report.problem(
      at,
      `the class ${name} has classes below it: packets go to those, so it can't be matched or be the default`,
    );
  const sum = children.reduce((total, child) => total + child.rateBitPerSec, 0);
  if (sum > shaped.ceilBitPerSec)
    report.warn(
      at,
      `the classes below ${name} are promised ${formatRate(sum)}, more than its ceil of ${formatRate(shaped.ceilBitPerSec)}`,
    );
}

function burstBytes(bitPerSec: number, mtuBytes: number): number {
  return mtuBytes + Math.ceil(bitPerSec / 8 / 1000);
}

function quantumBytes(rateBitPerSec: number, r2q: number): number {
  return Math.min(QUANTUM_MAX_BYTES, Math.max(FRAME_BYTES, Math.floor(rateBitPerSec / 8 / r2q)));
}

/** The shortest way to write a rate in tc's own units: 200000 → `200kbit`. */
export function formatRate(bitPerSec: number): string {
  const units = [
    ["gbit", 1e9],
    ["mbit", 1e6],
    ["kbit", 1e3],
  ] as const;
  const unit = units.find(([, size]) => bitPerSec >= size && bitPerSec % size === 0);
  return unit === undefined ? `${bitPerSec}bit` : `${bitPerSec / unit[1]}${unit[0]}`;
}
