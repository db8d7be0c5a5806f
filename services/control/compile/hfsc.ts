import type { HfscClass, HfscCurve } from "@sluice/proto/policy/document";
import { formatRate } from "./htb.ts";

/** Packets that no class matches go to `default`; where there is none, hfsc drops them. */
export function hfscArgs(fallback: number | undefined): string[] {
  return fallback === undefined ? [] : ["default", fallback.toString(16)];
}

export function hfscClassArgs({ curves }: HfscClass): string[] {
  return curves.flatMap(curveArgs);
}

function curveArgs({ curve, first, rateBitPerSec }: HfscCurve): string[] {
  if (first === undefined) return [curve, "rate", formatRate(rateBitPerSec)];
  const { rateBitPerSec: beginning, forMs } = first;
  return [curve, "m1", formatRate(beginning), "d", `${forMs}ms`, "m2", formatRate(rateBitPerSec)];
}
