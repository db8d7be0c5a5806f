import { controlSet, FAMILIES, type Family, protectSet, reachSet } from "@sluice/proto/base/names";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { LiveMembers, Target, TargetSet } from "../drivers/driver.ts";
import { withReleased } from "../drivers/tc/foreign.ts";
import { parseEndpoint } from "./dial.ts";

/** What only this server knows, and no manifest can hold. */
export interface Local {
  /** addresses and networks that nothing may cut off: own, gateways, resolvers, management */
  protect: readonly string[];
  /** `ip:port`, `[v6]:port` of control and NATS */
  control: readonly string[];
}

/** The members of a list's set; undefined: nothing is known of them. */
export type ListMembers = (setName: string) => LiveMembers | undefined;

/**
 * A manifest with what this server knows filled in: the protect, control and reach sets where its rules look into them, the
 * members of its lists, and, bare, the devices that `before` owned and it doesn't.
 */
export function targetOf(
  manifest: Manifest,
  local: Local,
  members: ListMembers,
  before?: Manifest | undefined,
): Target {
  return {
    sets: [
      ...manifest.sets.map((set) => ({ ...set, use: "policy" as const })),
      ...protectSets(manifest, local),
      ...manifest.lists.flatMap(({ sets }) =>
        sets.map(({ name, family }) => listTarget(name, family, members(name))),
      ),
    ],
    chains: manifest.chains,
    hooks: manifest.hooks,
    devices: withReleased(manifest.devices, before?.devices ?? []),
    external: manifest.external,
    ...(manifest.takeover && { takeover: manifest.takeover }),
  };
}

/** The same, with what its lists hold now: whoever makes a list's set gives it room for that. */
export function withMembers(target: Target, members: ListMembers): Target {
  return {
    ...target,
    sets: target.sets.map((set) => (set.use === "list" ? { ...set, live: members(set.name) } : set)),
  };
}

/** The same, as it is rehearsed: a list's members are many, and no rule depends on them. */
export function withoutMembers(target: Target): Target {
  return {
    ...target,
    sets: target.sets.map((set) => (set.use === "list" ? { ...set, live: undefined } : set)),
  };
}

/** What is heard of a list from here on may be in the kernel or not when it is read. */
function listTarget(name: string, family: Family, live: LiveMembers | undefined): TargetSet {
  live?.beginCount();
  return { name, type: "hash:net", family, options: ["timeout", "0"], entries: [], use: "list", live };
}

function protectSets(manifest: Manifest, local: Local): TargetSet[] {
  const protect = [...local.protect, ...manifest.protect].map(withoutHostLength);
  const endpoints = local.control.map(parseEndpoint).filter((endpoint) => endpoint !== undefined);
  const control = endpoints.map(({ address, port }) => `${address},tcp:${port}`);
  const reach = endpoints.map(({ address }) => address);
  return FAMILIES.flatMap((family) =>
    [
      set(protectSet(family), "hash:net", family, protect),
      set(controlSet(family), "hash:ip,port", family, control),
      set(reachSet(family), "hash:ip", family, reach),
    ].filter(({ name }) => isLookedInto(manifest, name)),
  );
}

function set(name: string, type: string, family: Family, entries: readonly string[]): TargetSet {
  const ofFamily = entries.filter((entry) => isSix(entry) === (family === 6));
  return { name, type, family, options: [], entries: [...new Set(ofFamily)].sort(), use: "protect" };
}

function isSix(entry: string): boolean {
  return entry.split(",")[0]?.includes(":") ?? false;
}

function isLookedInto(manifest: Manifest, name: string): boolean {
  return manifest.chains.some(({ rules }) => rules.some(({ args }) => args.split(" ").includes(name)));
}

/** The kernel knows `192.0.2.1/32` and `192.0.2.1` as one entry. */
function withoutHostLength(entry: string): string {
  return entry.replace(entry.includes(":") ? /\/128$/ : /\/32$/, "");
}
