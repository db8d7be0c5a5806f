import type { ManifestTakeover } from "@sluice/proto/manifest/manifest";
import type { Script, Target } from "../drivers/driver.ts";
import { comesFirst, marksOf, united } from "../drivers/iptables/claims.ts";
import { type Counters, readCounters } from "../drivers/iptables/counters.ts";
import { backScript } from "../drivers/iptables/render.ts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import { configuredRoot } from "../drivers/tc/foreign.ts";
import { readTc } from "../drivers/tc/read.ts";
import { renderTc } from "../drivers/tc/render.ts";
import { writeTc } from "../drivers/tc/write.ts";
import type { Namespace } from "../exec/namespace.ts";
import { carryCounters } from "./counters.ts";
import { describeTaken, isQdisc, isRules, type Taken, type TakenQdisc, type TakenRules } from "./taken.ts";

/**
 * The rules that can come back while ours still stand, so that there is no moment with neither. With what ours have counted, by
 * the claims that are held. Returns what came back.
 */
export async function giveBackFirst(
  live: Namespace,
  kept: readonly Taken[],
  claims: readonly ManifestTakeover[],
): Promise<string[]> {
  const rules = kept.filter(isRules);
  const first = united(rules).filter((one) => comesFirst(one, []));
  const counters = new Map<IptablesBackend, Counters>();
  for (const { backend } of first)
    if (!counters.has(backend))
      counters.set(backend, await readCounters(live, backend, "all").catch(() => new Map()));
  return await giveBack(live, first, (script, { backend }) => {
    const hands = { taking: [], givingBack: rules };
    const own = counters.get(backend) ?? new Map();
    return carryCounters(own, [script], hands, { before: claims, after: [] })[0] ?? script;
  });
}

/** Everything that was taken over, back where it was, unless it stands already. Returns what came back. */
export async function giveAllBack(live: Namespace, kept: readonly Taken[]): Promise<string[]> {
  return await giveBack(live, [...united(kept.filter(isRules)), ...kept.filter(isQdisc)], (script) => script);
}

async function giveBack(
  live: Namespace,
  all: readonly Taken[],
  counted: (script: Script, one: TakenRules) => Script,
): Promise<string[]> {
  const given: string[] = [];
  for (const one of all) {
    const done = one.kind === "rules" ? await giveRules(live, one, counted) : await giveQdisc(live, one);
    if (done) given.push(`${describeTaken(one).what}: given back`);
  }
  return given;
}

async function giveRules(
  live: Namespace,
  one: TakenRules,
  counted: (script: Script, one: TakenRules) => Script,
): Promise<boolean> {
  const { backend, family, table } = one;
  const { stdout } = await live.run(iptablesTool(backend, family), ["-w", "5", "-t", table, "-S"]);
  const standing = new Set(stdout.split("\n"));
  if (marksOf(one).some((mark) => standing.has(mark))) return false;
  const args = ["--noflush", "-w", "5"];
  const { code, stderr } = await live.run(iptablesTool(backend, family, "restore"), args, {
    input: counted(backScript(one, []), one).text,
  });
  if (code !== 0) throw new Error(`${describeTaken(one).what} could not be given back: ${stderr.trim()}`);
  return true;
}

async function giveQdisc(live: Namespace, { device, tree }: TakenQdisc): Promise<boolean> {
  const target: Target = {
    ...{ sets: [], chains: [], hooks: [], external: { chains: [], sets: [] } },
    devices: [{ device, egress: tree }],
  };
  const have = await readTc(live, target);
  if (!have.devices[device]?.exists || configuredRoot(have, device) !== undefined) return false;
  for (const script of renderTc(target, undefined, { devices: {} }).build) await writeTc(live, script);
  return true;
}
