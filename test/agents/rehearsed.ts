import type { Snapshots } from "@sluice/agents/converge/kernel";
import { type RehearseParts, rehearse } from "@sluice/agents/converge/rehearse";
import { targetOf } from "@sluice/agents/converge/target";
import type { Target } from "@sluice/agents/drivers/driver";
import { compile } from "@sluice/control/compile/compile";
import { factsWith, inputWith } from "@sluice/control/compile/test-input";
import { formatProblem } from "@sluice/proto/base/errors";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";

export type Backend = "nft" | "legacy";

/** The manifest that a policy's text makes. */
export function manifestOf(text: string, facts = factsWith({}, ["eth0", "eth1"])): Manifest {
  const parsed = parsePolicy(text, "policy.yaml");
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join("\n"));
  const compiled = compile(inputWith([parsed.document], { facts }));
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));
  return compiled.manifest;
}

/** On a server that knows of nothing to protect. */
export function targetFor(manifest: Manifest): Target {
  return targetOf(manifest, { protect: [], control: [] }, () => undefined);
}

export async function rehearsed(
  parts: RehearseParts,
  manifest: Manifest,
): Promise<{ target: Target; want: Snapshots }> {
  const target = targetFor(manifest);
  const result = await rehearse(parts, target);
  if (!result.ok) throw new Error(result.refusal.reason);
  return { target, want: result.want };
}
