import { formatProblem, SluiceError } from "@sluice/proto/base/errors";
import type { Family } from "@sluice/proto/base/names";
import { isExempt } from "@sluice/proto/manifest/exempt";
import type { Present } from "@sluice/proto/wire/present";
import type { ParsePolicy } from "../context/services.ts";
import {
  ledFrom,
  policyOwner,
  rulesIn,
  type StandingHook,
  standingHooks,
  unusedChains,
  whyLeft,
} from "./hooks.ts";
import { toolOf } from "./other-tools.ts";
import { type Shaped, shapingOf } from "./qdiscs.ts";
import { type ImportedRule, rulesAround, rulesOfBoth } from "./rules.ts";
import { setsOfRule, whyExternal } from "./sets.ts";
import { chainsFrom, isBuiltIn, type StandingTable, standingTables } from "./standing.ts";
import { type Imported, type Left, type Owner, writePolicy } from "./write-policy.ts";

/**
 * A policy of what stands on a server. Pure.
 *
 * 1. It says what stands, rule by rule in both families, in iptables' own words, or it says that it doesn't: a hook is
 *    taken with everything it leads to, or left with its reason.
 * 2. What other tools change while they run is left to them: their rules stay where they are, the rest is taken before and
 *    behind them, or left where that would mean something else.
 * 3. It is a policy that the language takes: what it refuses is left, with its words.
 */
export interface ImportOf {
  server: string;
  policy: string;
  present: Present;
}

export interface ImportResult {
  text: string;
  rules: number;
  sets: number;
  left: Left[];
}

export function importPresent(of: ImportOf, parsePolicy: ParsePolicy): ImportResult {
  const tables = standingTables(of.present.rules);
  const hooks = standingHooks(tables);
  const leftHooks = new Map<StandingHook, string>();
  const leftSets = new Map<string, string>();
  const leftDevices = new Map<string, string>();
  for (const hook of hooks) {
    const why = whyLeft(hook);
    if (why !== undefined) leftHooks.set(hook, why);
  }
  const unused = unusedChains(tables, hooks);
  for (;;) {
    const imported = assemble(of, tables, hooks, { leftHooks, leftSets, leftDevices, unused });
    const { text, owners } = writePolicy(imported);
    const parsed = parsePolicy(text, `${of.policy}.yaml`);
    if (parsed.ok) {
      const rules = imported.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
      return { text, rules, sets: imported.sets.length, left: [...imported.left] };
    }
    let isLess = false;
    for (const problem of parsed.problems) {
      const owner = owners.get(problem.place?.line ?? 0);
      if (owner !== undefined)
        isLess = leave(owner, formatProblem({ ...problem, place: undefined })) || isLess;
    }
    if (!isLess)
      throw new SluiceError("INTERNAL", "what stands there can't be made a policy", {
        problems: parsed.problems,
      });
  }

  function leave(owner: Owner, why: string): boolean {
    if ("set" in owner) return leaveOne(leftSets, owner.set, why);
    if ("device" in owner) return leaveOne(leftDevices, owner.device, why);
    const reaching = hooks.filter((one) => one.table === owner.table && one.chains.has(owner.chain));
    const fresh = reaching.filter((one) => !leftHooks.has(one));
    for (const one of fresh) leftHooks.set(one, `${owner.chain}: ${why}`);
    return fresh.length > 0;
  }
}

/** Qdiscs that stand beside a device's root. */
const INCOMING = new Set(["ingress", "clsact"]);

function leaveOne(left: Map<string, string>, name: string, why: string): boolean {
  if (left.has(name)) return false;
  left.set(name, why);
  return true;
}

function assemble(
  { server, policy, present }: ImportOf,
  tables: readonly StandingTable[],
  hooks: readonly StandingHook[],
  except: {
    leftHooks: ReadonlyMap<StandingHook, string>;
    leftSets: ReadonlyMap<string, string>;
    leftDevices: ReadonlyMap<string, string>;
    unused: readonly string[];
  },
): Imported {
  const taken = hooks.filter((hook) => !except.leftHooks.has(hook));
  const chains = chainsOf(taken);
  const uses = chains.flatMap(({ rules }) => rules.flatMap(({ text }) => setsOfRule(text)));
  const used = new Set(uses.map(({ name }) => name));
  const written = new Set(uses.flatMap(({ name, isWritten }) => (isWritten ? [name] : [])));
  const whyNot = new Map(
    present.sets.flatMap((set) => {
      const why = except.leftSets.get(set.name) ?? whyExternal(set, written);
      return why === undefined ? [] : [[set.name, why] as const];
    }),
  );
  const shapings = present.qdiscs.map((qdisc) => {
    const { device, kind, tree } = qdisc;
    const why = tree && except.leftDevices.get(device);
    const shaped: Shaped = why === undefined ? shapingOf(qdisc) : { ok: false, why };
    return { device, what: `${INCOMING.has(kind) ? kind : "qdisc"} of ${device}`, shaped };
  });
  const inUse = present.sets.filter(({ name }) => used.has(name));
  return {
    server,
    policy,
    drops: taken.filter(dropsInBoth).map(({ hook }) => hook),
    chains,
    sets: inUse.filter(({ name }) => !whyNot.has(name)),
    external: inUse.filter(({ name }) => whyNot.has(name)),
    claims: claimsOf(taken, tables, chains),
    shaping: shapings.flatMap(({ device, shaped }) => (shaped.ok ? [{ device, lines: shaped.lines }] : [])),
    left: [
      ...present.untold.map((why) => ({ what: "rules", why })),
      ...[...except.leftHooks].map(([{ table, hook }, why]) => ({ what: `${table}/${hook}`, why })),
      ...taken.flatMap((standing) => {
        const owner = policyOwner(standing);
        const what = `policy of ${standing.table}/${standing.hook}`;
        return owner === undefined ? [] : [{ what, why: `it is ${owner}'s` }];
      }),
      ...except.unused.map((what) => ({ what, why: "no built-in chain leads there" })),
      ...present.sets
        .filter(({ name }) => !used.has(name))
        .map(({ name }) => {
          const tool = toolOf(name);
          return {
            what: `set ${name}`,
            why: tool ? `it is ${tool}'s` : "no rule that is imported looks into it",
          };
        }),
      ...inUse.flatMap(({ name }) => {
        const why = whyNot.get(name);
        return why === undefined
          ? []
          : [{ what: `set ${name}`, why: `${why}; rules refer to it as it stands` }];
      }),
      ...shapings.flatMap(({ what, shaped }) => (shaped.ok ? [] : [{ what, why: shaped.why }])),
    ],
  };
}

function chainsOf(taken: readonly StandingHook[]): Imported["chains"] {
  const found = new Map<string, Imported["chains"][number]>();
  for (const standing of taken)
    for (const name of standing.chains) {
      const { table, hook, tables } = standing;
      const of = (family: Family) => tables.find((one) => one.family === family)?.chains.get(name) ?? [];
      const { rules, others } =
        name === hook
          ? rulesAround(standing.rules[4], standing.rules[6])
          : { rules: rulesOfBoth(of(4), of(6)), others: undefined };
      if (name === hook && !dropsInBoth(standing)) rules.push(...lastDrops(standing));
      if (isBuiltIn(name) && rules.length === 0) continue;
      found.set(`${table}/${name}`, { table, name, rules, others });
    }
  return [...found.values()];
}

/** Not a chain that something else leads to, which stays. */
function claimsOf(
  taken: readonly StandingHook[],
  tables: readonly StandingTable[],
  chains: Imported["chains"],
): Imported["claims"] {
  const isTaken = ({ table }: StandingTable, name: string) =>
    taken.some((one) => one.table === table && one.chains.has(name));
  const isTakenHook = ({ table }: StandingTable, name: string) =>
    taken.some((one) => one.table === table && one.hook === name);
  const held = new Set(
    tables.flatMap((table) =>
      [...table.chains.keys()]
        .filter((name) => (isBuiltIn(name) ? !isTakenHook(table, name) : !isTaken(table, name)))
        .flatMap((name) => [...chainsFrom(table, name)].map((reached) => `${table.table}/${reached}`)),
    ),
  );
  for (const { table, hook, tables: both, except } of taken)
    for (const one of both)
      for (const rule of rulesIn(one, hook))
        if (isExempt(rule, except)) for (const name of ledFrom(one, rule)) held.add(`${table}/${name}`);
  return chains
    .map(({ table, name }) => {
      const hook = taken.find((one) => one.table === table && one.hook === name);
      return { chain: `${table}/${name}`, except: hook?.except ?? [] };
    })
    .filter(({ chain }) => !held.has(chain));
}

function dropsInBoth(hook: StandingHook): boolean {
  return ([4, 6] as const).every((family) => drops(hook, family));
}

/** A default is of both families: where one alone drops, a last rule says so. */
function lastDrops(hook: StandingHook): ImportedRule[] {
  return ([4, 6] as const)
    .filter((family) => drops(hook, family))
    .map((family) => ({ text: "-j DROP", family }));
}

/** Where the policy is a tool's, that stays what it is. */
function drops(standing: StandingHook, family: Family): boolean {
  const { tables, hook } = standing;
  if (policyOwner(standing) !== undefined) return false;
  return tables.find((one) => one.family === family)?.policies.get(hook) === "DROP";
}
