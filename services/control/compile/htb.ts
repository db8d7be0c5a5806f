import type { ClassTree, HtbClass } from "@sluice/proto/policy/document";
import type { Reporter } from "./findings.ts";
import { FRAME_BYTES } from "./qdisc.ts";
import type { PlacedClass } from "./tree.ts";

/**
 * An HTB as tc takes it, with its numbers said in full.
 *
 * | said | where the policy doesn't say it |
 * |---|---|
 * | mtu | 1500 |
 * | burst, cburst | what the rate (the ceil) carries in 1 ms, and one mtu |
 * | quantum | rate in bytes / r2q (10), at least one full frame, at most 200,000: so the kernel never warns of it |
 * | direct_qlen | 1000, else it would be the device's queue length |
 */
export type HtbTree = Extract<ClassTree, { kind: "htb" }>;

const DEFAULT_MTU_BYTES = 1500;
const DEFAULT_R2Q = 10;
const DIRECT_QLEN = 1000;
const QUANTUM_MAX_BYTES = 200_000;

export function htbArgs({ r2q, directQlen = DIRECT_QLEN }: HtbTree, fallback: number | undefined): string[] {
  const said = r2q === undefined ? [] : ["r2q", String(r2q)];
  return ["default", (fallback ?? 0).toString(16), ...said, "direct_qlen", String(directQlen)];
}

export function htbClassArgs(shaped: HtbClass, r2q: number | undefined): string[] {
  const { rateBitPerSec: rate, ceilBitPerSec: ceil } = shaped;
  const mtu = shaped.mtuBytes ?? DEFAULT_MTU_BYTES;
  const isLeaf = shaped.children.length === 0;
  return [
    ["rate", formatRate(rate)],
    ["ceil", formatRate(ceil)],
    ...(isLeaf ? [["prio", String(shaped.priority ?? 0)]] : []), // HTB ignores it above the leaves
    ["mtu", String(mtu)],
    ["burst", String(shaped.burstBytes ?? burstBytes(rate, mtu))],
    ["cburst", String(shaped.cburstBytes ?? burstBytes(ceil, mtu))],
    ["quantum", String(shaped.quantumBytes ?? quantumBytes(rate, r2q ?? DEFAULT_R2Q))],
    ...lineArgs(shaped),
  ].flat();
}

/** What the line makes of each packet; nothing where the policy says nothing of it. */
function lineArgs({ overheadBytes, mpuBytes, linklayer }: HtbClass): string[][] {
  return [
    ...(overheadBytes ? [["overhead", String(overheadBytes)]] : []),
    ...(mpuBytes ? [["mpu", String(mpuBytes)]] : []),
    ...(linklayer === undefined ? [] : [["linklayer", linklayer]]),
  ];
}

export function checkHtbClass({ shaped, at }: PlacedClass<HtbClass>, report: Reporter): void {
  const { name, children, ceilBitPerSec: ceil, rateBitPerSec: rate } = shaped;
  if (ceil < rate)
    report.problem(at, `the ceil of ${name} is below its rate`, {
      found: formatRate(ceil),
      expected: `at least ${formatRate(rate)}`,
    });
  const sum = children.reduce((total, child) => total + child.rateBitPerSec, 0);
  if (sum > ceil)
    report.warn(
      at,
      `the classes below ${name} are promised ${formatRate(sum)}, more than its ceil of ${formatRate(ceil)}`,
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
