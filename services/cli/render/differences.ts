import type { Difference } from "@sluice/proto/manifest/difference";
import type { Terminal } from "../terminal.ts";
import { type Files, originText } from "./place.ts";

const SIGNS = { missing: "+", changed: "~", extra: "-" } as const;

/** A plan's diff and a drift alike: an object a line, then what stands (-) and what is wanted (+). */
export function differenceLines(
  terminal: Terminal,
  differences: readonly Difference[],
  indent: string,
  files?: Files,
): string[] {
  return differences.flatMap((one) => [
    `${indent}${SIGNS[one.kind]} ${terminal.paint("bold", one.object)} ${one.kind}${originText(one.origin, files)}`,
    ...(one.have ?? []).map((line) => terminal.paint("red", `${indent}    - ${line}`)),
    ...(one.want ?? []).map((line) => terminal.paint("green", `${indent}    + ${line}`)),
    ...(one.more ? [`${indent}    … and ${one.more} more`] : []),
  ]);
}
