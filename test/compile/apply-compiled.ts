import { readAll, renderAll, writeScripts } from "@sluice/agents/converge/kernel";
import { targetOf } from "@sluice/agents/converge/target";
import type { Driver } from "@sluice/agents/drivers/driver";
import type { IptablesSnapshot } from "@sluice/agents/drivers/iptables/snapshot";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { foreignFactsOf } from "@sluice/agents/facts/foreign-facts";
import { testMembers } from "@sluice/agents/lists/test-members";
import { compile } from "@sluice/control/compile/compile";
import { factsWith, inputWith } from "@sluice/control/compile/test-input";
import { listSet } from "@sluice/proto/base/names";
import { parsePolicy } from "@sluice/proto/policy/parse";

export interface Where {
  drivers: readonly Driver<unknown>[];
  at: Namespace;
  /** the server's own addresses */
  protect: readonly string[];
  /** members of the list `bans`, of both families */
  bans: readonly string[];
}

/** A policy's text, compiled and written to a kernel by the drivers, as a server with nothing but it would hold it. */
export async function applyCompiled(text: string, { drivers, at, protect, bans }: Where): Promise<void> {
  const parsed = parsePolicy(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const nothing = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };
  const seen = (await readAll(drivers, at, nothing)).get("iptables") as IptablesSnapshot;
  const facts = { ...factsWith(), foreign: foreignFactsOf(seen) };
  const result = compile(inputWith([parsed.document], { facts, lists: { bans: { families: [4, 6] } } }));
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const members = (name: string) => {
    const family = name === listSet("bans", 6) ? 6 : 4;
    return testMembers(
      bans.filter((entry) => entry.includes(":") === (family === 6)),
      family,
    ).live;
  };
  const target = targetOf(result.manifest, { protect, control: [] }, members);
  const plan = renderAll(drivers, target, undefined, await readAll(drivers, at, target));
  await writeScripts(drivers, at, [...plan.build, ...plan.remove, ...plan.removeSets]);
}
