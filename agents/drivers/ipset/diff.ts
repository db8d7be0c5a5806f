import type { Difference } from "@sluice/proto/manifest/difference";
import type { Target, TargetSet } from "../driver.ts";
import { lineDifference } from "../line-difference.ts";
import { elementOf, timeoutOf } from "./entry.ts";
import { sameOptions } from "./options.ts";
import type { IpsetSnapshot, SetSnapshot } from "./snapshot.ts";

/** Pure: both snapshots are spelled by the same kernel. */
export function diffIpset(target: Target, want: IpsetSnapshot, have: IpsetSnapshot): Difference[] {
  const differences: Difference[] = [];
  for (const set of target.sets) {
    const difference = diffSet(set, want.sets.get(set.name), have.sets.get(set.name));
    if (difference !== undefined) differences.push(difference);
  }
  for (const [name, set] of have.sets) {
    if (target.sets.some((wanted) => wanted.name === name)) continue;
    differences.push({
      driver: "ipset",
      object: `set/${name}`,
      kind: "extra",
      have: [headline(set), entries(set.count)],
    });
  }
  return differences;
}

function diffSet(
  set: TargetSet,
  want: SetSnapshot | undefined,
  have: SetSnapshot | undefined,
): Difference | undefined {
  const object = {
    driver: "ipset",
    object: `set/${set.name}`,
    ...(set.origin ? { origin: set.origin } : {}),
  } as const;
  const wantLines = want === undefined ? [set.type] : [headline(want), ...(want.members?.lasting ?? [])];
  if (have === undefined) {
    const lines = set.use === "list" ? [...wantLines, entries(set.entries.length)] : wantLines;
    return { ...object, kind: "missing", ...lineDifference(lines, []) };
  }
  if (want === undefined) return undefined;
  const sameHead =
    want.type === have.type &&
    want.family === have.family &&
    sameOptions(want.options, have.options, set.use);
  if (set.use === "list") {
    if (!sameHead) return { ...object, kind: "changed", want: [headline(want)], have: [headline(have)] };
    const strays = listStrays(set, have);
    if (strays !== undefined) {
      const { add, del } = strays;
      return add.length + del.length > 0
        ? { ...object, kind: "changed", ...lineDifference(add.map(elementOf), del) }
        : undefined;
    }
    const lasting = lastingCount(set);
    return have.count < lasting
      ? { ...object, kind: "changed", want: [entries(lasting)], have: [entries(have.count)] }
      : undefined;
  }
  const haveLines = [sameHead ? headline(want) : headline(have), ...(have.members?.lasting ?? [])];
  if (sameHead && sameMembers(want, have)) return undefined;
  return { ...object, kind: "changed", ...lineDifference(wantLines, haveLines) };
}

/**
 * What a list's set lacks, as entries, and holds beside the list, as elements; undefined where its members weren't read.
 * One that should stay and runs out is lacking, and the other way round; how long exactly isn't compared.
 */
export function listStrays(
  { entries: wanted, members }: TargetSet,
  have: SetSnapshot,
): { add: string[]; del: string[] } | undefined {
  if (members === undefined || have.members === undefined) return undefined;
  const { unsettled } = members;
  const standing = new Map([
    ...have.members.lasting.map((entry) => [elementOf(entry), false] as const),
    ...have.members.expiring.map((entry) => [elementOf(entry), true] as const),
  ]);
  const elements = new Set(wanted.map(elementOf));
  return {
    add: wanted.filter((entry) => {
      const element = elementOf(entry);
      return !unsettled.has(element) && standing.get(element) !== Boolean(timeoutOf(entry));
    }),
    del: [...standing.keys()].filter((element) => !elements.has(element) && !unsettled.has(element)),
  };
}

/** Entries of a target that don't run out: a list that holds fewer has lost some. */
export function lastingCount(set: TargetSet): number {
  return set.entries.reduce((count, entry) => count + (timeoutOf(entry) ? 0 : 1), 0);
}

/** Without regard to order: a hash has none. */
export function sameMembers(want: SetSnapshot, have: SetSnapshot): boolean {
  const wanted = want.members?.lasting ?? [];
  const standing = have.members?.lasting ?? [];
  if (wanted.length !== standing.length) return false;
  const known = new Set(standing);
  return wanted.every((member) => known.has(member));
}

function headline(set: SetSnapshot): string {
  const family = set.family === null ? [] : ["family", set.family === 4 ? "inet" : "inet6"];
  return [set.type, ...family, ...set.options].join(" ");
}

function entries(count: number): string {
  return count === 1 ? "1 entry" : `${count} entries`;
}
