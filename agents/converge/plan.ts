import type { Difference } from "@sluice/proto/manifest/difference";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { Refusal } from "@sluice/proto/wire/report";
import { describeTaken, type Taken } from "../takeover/taken.ts";
import { type Handover, withTrees } from "../takeover/takeover.ts";
import { diffAll, readAll } from "./kernel.ts";
import type { Before, ConvergeParts } from "./parts.ts";
import { rehearseOnce } from "./rehearse.ts";
import { targetOf } from "./target.ts";
import { testOnce } from "./test.ts";

export interface PlanAnswer {
  refusal: Refusal | undefined;
  differences: Difference[];
  warnings: string[];
}

/** What a manifest would change here, by rehearsing it and looking at the live namespace. Writes nothing there. */
export async function plan(
  parts: ConvergeParts,
  manifest: Manifest,
  before: Before | undefined,
): Promise<PlanAnswer> {
  const bare = targetOf(manifest, parts.local(), parts.listMembers, before?.manifest);
  const handover = await parts.takeover.look(bare, before?.target);
  const target = withTrees(bare, handover.givingBack);
  const rehearsed = await rehearseOnce(parts, target, before);
  if (!rehearsed.ok) return { refusal: rehearsed.refusal, differences: [], warnings: [] };
  const tested = await testOnce(parts, manifest, target, rehearsed.want, before);
  if (tested.refusal !== undefined)
    return { refusal: tested.refusal, differences: [], warnings: tested.unknown };
  const have = await readAll(parts.drivers, parts.live, target);
  const differences = diffAll(parts.drivers, target, rehearsed.want, have);
  const inTheWay = [
    ...parts.preflight(target, before?.target, have),
    ...(await parts.takeover.distrust(handover, target)),
  ];
  const refusal: Refusal | undefined =
    inTheWay.length === 0 ? undefined : { step: "preflight", reason: inTheWay.join("; ") };
  return {
    refusal,
    differences,
    warnings: [...tested.unknown, ...handoverWarnings(handover), ...(await parts.warnings(target, have))],
  };
}

function handoverWarnings({ taking, givingBack }: Handover): string[] {
  const named = (all: readonly Taken[]) => [...new Set(all.map((one) => describeTaken(one).what))].join(", ");
  return [
    ...(taking.length === 0 ? [] : [`taken over, its text kept to be given back: ${named(taking)}`]),
    ...(givingBack.length === 0 ? [] : [`given back: ${named(givingBack)}`]),
  ];
}
