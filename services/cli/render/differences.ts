import type { Difference } from "@sluice/proto/manifest/difference";
import type { Origin } from "@sluice/proto/manifest/manifest";
import type { Refusal } from "@sluice/proto/wire/report";
import type { Terminal } from "../terminal.ts";

const SIGNS = { missing: "+", changed: "~", extra: "-" } as const;

/** A plan's diff and a drift alike: an object a line, then what is wanted (+) and what stands (-). */
export function differenceLines(
  terminal: Terminal,
  differences: readonly Difference[],
  indent: string,
): string[] {
  return differences.flatMap((one) => [
    `${indent}${SIGNS[one.kind]} ${terminal.paint("bold", one.object)} ${one.kind}${originText(one.origin)}`,
    ...(one.have ?? []).map((line) => terminal.paint("red", `${indent}    - ${line}`)),
    ...(one.want ?? []).map((line) => terminal.paint("green", `${indent}    + ${line}`)),
    ...(one.more ? [`${indent}    … and ${one.more} more`] : []),
  ]);
}

/** The reason in the kernel's words, and the policy's line that caused it. */
export function refusalText(refusal: Refusal | undefined): string {
  if (refusal === undefined) return "no reason given";
  const script = refusal.script === undefined ? "" : `: ${refusal.script}`;
  return `${refusal.step}: ${refusal.reason}${script}${originText(refusal.origin)}`;
}

export function originText(origin: Origin | undefined): string {
  if (origin === undefined) return "";
  const line = origin.line === undefined ? "" : `:${origin.line}`;
  const revision = origin.revision === 0 ? "" : ` revision ${origin.revision}`;
  return ` (${origin.policy}${line}${revision})`;
}
