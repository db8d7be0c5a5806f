import { sha256Hex } from "@sluice/proto/base/digest";
import { temporarySet } from "@sluice/proto/base/names";
import type { ManifestDevice } from "@sluice/proto/manifest/manifest";
import type { Script, Target, TargetSet } from "../drivers/driver.ts";
import { createWords, membersOf } from "../drivers/ipset/options.ts";
import { backText, type Claimed, comesFirst, marksOf, takeText, united } from "../drivers/iptables/claims.ts";
import type { Counters } from "../drivers/iptables/counters.ts";
import { tableKey } from "../drivers/iptables/snapshot.ts";
import { hasTree } from "../drivers/tc/foreign.ts";
import { keepCounters } from "../takeover/counters.ts";
import { isRules } from "../takeover/taken.ts";
import type { Handover } from "../takeover/takeover.ts";
import { same } from "./plain-json.ts";
import { renderTables } from "./render-tables.ts";

/**
 * What `undo.sh` needs to bring a server from any half of a change back to what it held before.
 *
 * 1. Rendered from the previous target, never from what the kernel has: a dump may lie.
 * 2. Names what the change could have touched; a set, a table or a device that is the same in both targets isn't named,
 *    and keeps its counters.
 * 3. Members of live lists are never rewound: a set of a list is created where it is gone, and else left alone.
 */
export interface UndoInput {
  previous: Target;
  next: Target;
  /** builds a device's tree of the previous target, on a bare device; asked for those that the change touches */
  tcBuild(device: ManifestDevice): readonly Script[];
  /** `iptables-nft`, `ip6tables-legacy-restore` … */
  tool(family: 4 | 6, verb?: "restore"): string;
  handover: Handover;
  /** of all rules, before the change */
  counters?: Counters | undefined;
  /** devices whose outgoing tree the change doesn't touch, however it is spelled in both targets */
  standing?: readonly string[] | undefined;
}

/** By file name; every name that `undo.sh` reads is there, empty or not. */
export function renderUndo(input: UndoInput): Record<string, string> {
  return { ...renderSets(input), ...renderTables(input), ...renderDevices(input), ...renderForeign(input) };
}

function renderSets({ previous, next }: UndoInput): Record<string, string> {
  const before = new Map(previous.sets.map((set) => [set.name, set]));
  const after = new Map(next.sets.map((set) => [set.name, set]));
  const reload = previous.sets.filter((set) => {
    const other = after.get(set.name);
    return set.use !== "list" && other !== undefined && !same(content(set), content(other));
  });
  const fresh = next.sets.filter((set) => !before.has(set.name));
  // sets of sets first: their members can't go while they stand
  const drop = [...fresh].sort((a, b) => Number(b.type === "list:set") - Number(a.type === "list:set"));
  return {
    "sets.create": lines(previous.sets.map((set) => `${set.name} ${createWords(set).join(" ")}`)),
    "sets.restore": lines(reload.flatMap(reloadLines)),
    "sets.drop": lines([
      ...reload.map(({ name }) => undoSet(name)),
      ...next.sets.map(({ name }) => temporarySet(name)),
      ...drop.map(({ name }) => name),
    ]),
  };
}

/** Built aside, then swapped in: the set is whole at any moment. */
function reloadLines(set: TargetSet): string[] {
  const aside = undoSet(set.name);
  return [
    `create ${aside} ${createWords(set).join(" ")}`,
    `flush ${aside}`,
    ...membersOf(set).map((member) => `add ${aside} ${member}`),
    `swap ${aside} ${set.name}`,
    `flush ${aside}`,
  ];
}

function undoSet(name: string): string {
  return `sl-undo-${sha256Hex(name).slice(0, 12)}`;
}

/** Each device has a batch of its own: one that is gone by then hinders no other. */
function renderDevices({ previous, next, tcBuild, standing = [] }: UndoInput): Record<string, string> {
  const names = new Set([...previous.devices, ...next.devices].map(({ device }) => device));
  const drop: string[] = [];
  const ifbDrop: string[] = [];
  const devices: string[] = [];
  const batches: Record<string, string> = {};
  for (const name of names) {
    const [before, after] = [previous, next].map((target) => deviceOf(target, name, standing.includes(name)));
    if (same(before, after)) continue;
    if (before?.egress || after?.egress) drop.push(`${name} root`);
    if (before?.ingress || after?.ingress) drop.push(`${name} ingress`);
    if (before?.ingress) drop.push(`${before.ingress.ifb} root`);
    if (before !== undefined) {
      devices.push(`${name} ${before.ingress?.ifb ?? ""}`.trimEnd());
      batches[`tc.${name}`] = lines(tcBuild(before).map(({ text }) => text.trimEnd()));
    }
    if (after?.ingress && after.ingress.ifb !== before?.ingress?.ifb) ifbDrop.push(after.ingress.ifb);
  }
  return {
    "tc.drop": lines(drop),
    "ifb.drop": lines(ifbDrop),
    devices: lines(devices),
    ...batches,
  };
}

/**
 * What was taken is given back where it is gone; what was given back is taken again where it stands. A line of `foreign`
 * names the tools, the table, when, and the file; its marks are beside it. `foreign.first` is for before ours go.
 */
function renderForeign({
  handover,
  tool,
  previous,
  counters = new Map(),
}: UndoInput): Record<string, string> {
  const files: Record<string, string> = {};
  const first: string[] = [];
  const list: string[] = [];
  const add = (one: Claimed, when: "gone" | "stands", content: string) => {
    const file = `foreign-${first.length + list.length}`;
    files[file] = content;
    files[`${file}.marks`] = lines(marksOf(one));
    const line = `${tool(one.family, "restore")} ${tool(one.family)} ${one.table} ${when} ${file}`;
    (when === "gone" && comesFirst(one, previous.hooks) ? first : list).push(line);
  };
  const taking = united(handover.taking.filter(isRules));
  for (const one of taking) {
    const text = backText(one, previous.hooks);
    add(one, "gone", keepCounters(counters, tableKey(one.family, one.table), text));
  }
  for (const one of united(handover.givingBack.filter(isRules))) add(one, "stands", takeText(one));
  return { ...files, "foreign.first": lines(first), foreign: lines(list) };
}

/** Only with what is ours of it: a device that a change lets go stands in its target as a bare one. */
function deviceOf(target: Target, name: string, isEgressStanding: boolean): ManifestDevice | undefined {
  const { egress, ingress } = target.devices.find(({ device }) => device === name) ?? {};
  const owned = {
    ...(hasTree(egress) && !isEgressStanding ? { egress } : {}),
    ...(hasTree(ingress?.tree) ? { ingress } : {}),
  };
  return Object.keys(owned).length === 0 ? undefined : { device: name, ...owned };
}

function content({ type, family, options, entries }: TargetSet): unknown {
  return [type, family, options, entries];
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
