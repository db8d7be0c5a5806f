import type { Origin, TcClass, TcFilter, TcQdisc } from "@sluice/proto/manifest/manifest";
import type { Script, Steps, Target } from "../driver.ts";
import type { Change } from "./changes.ts";
import { changesOf } from "./changes.ts";
import { words } from "./command-line.ts";
import type { Doomed } from "./doomed.ts";
import { deletionsOf, spread } from "./doomed.ts";
import { changesInPlace } from "./in-place.ts";
import { buildOrder, isRootPlace } from "./order.ts";
import type { Side } from "./sides.ts";
import { filterKey, sidesOf } from "./sides.ts";
import type { TcSnapshot } from "./snapshot.ts";
import { ABSENT } from "./snapshot.ts";

/**
 * Differences → tc commands. Pure.
 *
 * 1. What is the same is not named: classes keep their counters and queued packets.
 * 2. What differs is changed in place where that leads to the same as building anew (in-place.ts); else it is deleted,
 *    with what hangs on it, and made again, all in one batch.
 * 3. The order of a batch: filters go, then qdiscs, then classes leaf first; then the tree is built from its root,
 *    filters last, so that a filter never sends to a class that isn't there.
 * 4. A root of ours goes only when its options change (tc can't change them) or when the tree is to be bare.
 * 5. A root is `add`ed and never `replace`d: `replace` takes another tool's root away without a word.
 *
 * Without `want` everything of ours is torn down and built: for a rehearsal's first look, and for an undo that can't
 * know how far the change got.
 */
export function renderTc(target: Target, want: TcSnapshot | undefined, have: TcSnapshot): Steps {
  const build: Script[] = [];
  const remove: Script[] = [];
  const removeIfbs: Script[] = []; // after what is sent to them
  for (const side of sidesOf(target.devices, want, have)) {
    const isWanted = side.target.qdiscs.length > 0;
    const isIfb = side.device === side.ifb;
    if (isIfb && !isWanted) {
      if (have.devices[side.device]?.exists) removeIfbs.push(ifbGoes(side.device));
      continue;
    }
    if (isIfb) build.push(...ifbStands(side, have));
    (isWanted ? build : remove).push(...sideScripts(side));
  }
  return { build, remove: [...remove, ...removeIfbs] };
}

interface Line {
  text: string;
  origin?: Origin | undefined;
}

function sideScripts(side: Side): Script[] {
  const changes = changesOf(side);
  if (changes.length === 0) return [];
  const doomed = spread(side.have, seedsOf(side, changes));
  const lines = [...deletionLines(side, doomed), ...buildLines(side, changes, doomed)];
  return lines.length === 0 ? [] : [scriptOf("tc", `${side.device}: ${summary(changes)}`, lines)];
}

/** What can't stay as it is: extra, or not changeable where it stands. */
function seedsOf(side: Side, changes: readonly Change[]): Doomed {
  const goes = changes.filter((change) => change.have !== undefined && !changesInPlace(change));
  const keys = (object: Change["object"]) =>
    new Set(goes.filter((change) => change.object === object).map((change) => change.key));
  const qdiscs = keys("qdisc");
  // a root under another handle would refuse ours
  const root = side.target.qdiscs.find((one) => one.parent === "root");
  for (const one of side.have.qdiscs)
    if (one.parent === "root" && one.handle !== root?.handle) qdiscs.add(one.handle);
  return { qdiscs, classes: keys("class"), filters: keys("filter") };
}

function deletionLines(side: Side, doomed: Doomed): Line[] {
  const { groups, filters, qdiscs, classes } = deletionsOf(side.have, doomed);
  const on = ["dev", side.device];
  return [
    ...groups.map(({ parent, protocol, prio }) =>
      words("filter", "del", ...on, "parent", parent, "protocol", protocol, "prio", String(prio)),
    ),
    ...filters.map(({ parent, protocol, prio, kernelHandle, kind }) =>
      words(
        ...["filter", "del", ...on, "parent", parent, "protocol", protocol, "prio", String(prio)],
        ...["handle", kernelHandle, kind],
      ),
    ),
    ...qdiscs.map(({ parent, handle }) =>
      isRootPlace(parent)
        ? words("qdisc", "del", ...on, parent)
        : words("qdisc", "del", ...on, "parent", parent, "handle", handle),
    ),
    ...classes.map(({ classid }) => words("class", "del", ...on, "classid", classid)),
  ].map((text) => ({ text }));
}

function buildLines(side: Side, changes: readonly Change[], doomed: Doomed): Line[] {
  const changed = new Set(changes.map((change) => `${change.object} ${change.key}`));
  const have = {
    qdisc: new Set(side.have.qdiscs.map((one) => one.handle)),
    class: new Set(side.have.classes.map((one) => one.classid)),
    filter: new Set(side.have.filters.map(filterKey)),
  };
  const leaves = turnedLeaves(side);
  const verbFor = (object: Change["object"], key: string, gone: ReadonlySet<string>) => {
    if (!have[object].has(key) || gone.has(key)) return "add";
    return changed.has(`${object} ${key}`) || (object === "class" && leaves.has(key)) ? "change" : undefined;
  };
  const lines: Line[] = [];
  for (const node of buildOrder(side.target)) {
    const { origin } = node.target;
    if (node.object === "qdisc") {
      const verb = verbFor("qdisc", node.target.handle, doomed.qdiscs);
      if (verb) lines.push({ text: qdiscLine(side.device, verb, node.target), origin });
    } else {
      const verb = verbFor("class", node.target.classid, doomed.classes);
      if (verb) lines.push({ text: classLine(side.device, verb, node.target), origin });
    }
  }
  for (const filter of side.target.filters) {
    const verb = verbFor("filter", filterKey(filter), doomed.filters);
    if (verb) lines.push({ text: filterLine(side.device, filter), origin: filter.origin });
  }
  return lines;
}

/**
 * Classes that lose their last child. They then show the prio and quantum they were made with; while they had children
 * these could neither be seen nor changed.
 */
function turnedLeaves(side: Side): Set<string> {
  const inner = new Set(side.target.classes.map((one) => one.parent));
  return new Set(side.have.classes.map((one) => one.parent).filter((parent) => !inner.has(parent)));
}

function qdiscLine(device: string, verb: string, { parent, handle, kind, args }: TcQdisc): string {
  const place = parent === "ingress" ? [] : parent === "root" ? ["root"] : ["parent", parent];
  return words("qdisc", verb, "dev", device, ...place, "handle", handle, kind, ...args);
}

function classLine(device: string, verb: string, { parent, classid, kind, args }: TcClass): string {
  return words("class", verb, "dev", device, "parent", parent, "classid", classid, kind, ...args);
}

function filterLine(device: string, { parent, protocol, prio, handle, kind, args }: TcFilter): string {
  return words(
    ...["filter", "add", "dev", device, "parent", parent, "protocol", protocol, "prio", String(prio)],
    ...["handle", handle, kind, ...args],
  );
}

function ifbStands(side: Side, have: TcSnapshot): Script[] {
  const state = have.devices[side.device] ?? ABSENT;
  const origin = side.target.qdiscs[0]?.origin;
  const lines: Line[] = [];
  if (!state.exists) lines.push({ text: words("link", "add", "name", side.device, "type", "ifb"), origin });
  if (!state.up) lines.push({ text: words("link", "set", "dev", side.device, "up"), origin });
  return lines.length === 0 ? [] : [scriptOf("ip", `${side.device}: device for incoming traffic`, lines)];
}

function ifbGoes(ifb: string): Script {
  return scriptOf("ip", `${ifb}: device for incoming traffic goes`, [
    { text: words("link", "del", "dev", ifb) },
  ]);
}

function scriptOf(tool: "tc" | "ip", what: string, lines: readonly Line[]): Script {
  const text = `${lines.map((line) => line.text).join("\n")}\n`;
  return { driver: "tc", what, tool, text, originOf: (line) => lines[line]?.origin };
}

function summary(changes: readonly Change[]): string {
  const count = (object: Change["object"], one: string, many: string) => {
    const number = changes.filter((change) => change.object === object).length;
    return number === 0 ? [] : [`${number} ${number === 1 ? one : many}`];
  };
  return [
    ...count("qdisc", "qdisc", "qdiscs"),
    ...count("class", "class", "classes"),
    ...count("filter", "filter", "filters"),
  ].join(", ");
}
