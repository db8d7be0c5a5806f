import type { Snapshots } from "@sluice/agents/converge/kernel";
import { furnish, roomDevices } from "@sluice/agents/converge/rehearsal-room";
import { type RehearseParts, rehearse } from "@sluice/agents/converge/rehearse";
import { targetOf } from "@sluice/agents/converge/target";
import type { Target } from "@sluice/agents/drivers/driver";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { createIptablesDriver } from "@sluice/agents/drivers/iptables/driver";
import { iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { createTcDriver } from "@sluice/agents/drivers/tc/driver";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { compile } from "@sluice/control/compile/compile";
import { factsWith, inputWith } from "@sluice/control/compile/test-input";
import { formatProblem } from "@sluice/proto/base/errors";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { parsePolicy } from "@sluice/proto/policy/parse";

export type Backend = "nft" | "legacy";

/** The manifest that a policy's text makes. */
export function manifestOf(text: string): Manifest {
  const parsed = parsePolicy(text, "policy.yaml");
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join("\n"));
  const compiled = compile(inputWith([parsed.document], { facts: factsWith({}, ["eth0", "eth1"]) }));
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));
  return compiled.manifest;
}

/** The parts of an agent that rehearse, without any server. */
export function rehearseParts(backend: Backend): RehearseParts {
  const tools = {
    restore4: iptablesTool(backend, 4, "restore"),
    restore6: iptablesTool(backend, 6, "restore"),
  };
  return {
    drivers: [createIpsetDriver(), createIptablesDriver({ backend }), createTcDriver()],
    async openRoom(target) {
      const room = await openRehearsal();
      await furnish(room, roomDevices([], target.devices), target.external, tools);
      return { at: room, close: () => room.close() };
    },
  };
}

export async function rehearsed(
  parts: RehearseParts,
  manifest: Manifest,
): Promise<{ target: Target; want: Snapshots }> {
  const target = targetOf(manifest, { protect: [], control: [] }, () => undefined);
  const result = await rehearse(parts, target);
  if (!result.ok) throw new Error(result.refusal.reason);
  return { target, want: result.want };
}
