import type { Difference } from "@sluice/proto/manifest/difference";
import type { FoundMembers, Target, TargetSet } from "../driver.ts";
import { lineDifference } from "../line-difference.ts";
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
    const lines = set.live === undefined ? wantLines : [...wantLines, entries(set.live.counts().all)];
    return { ...object, kind: "missing", ...lineDifference(lines, []) };
  }
  if (want === undefined) return undefined;
  const sameHead =
    want.type === have.type &&
    want.family === have.family &&
    sameOptions(want.options, have.options, set.use);
  if (set.use === "list") {
    if (!sameHead) return { ...object, kind: "changed", want: [headline(want)], have: [headline(have)] };
    const found = foundOf(set, have);
    if (found !== undefined)
      return isRight(found) ? undefined : { ...object, kind: "changed", ...foundLines(found) };
    const fewest = set.live?.counts().fewest ?? 0;
    return have.count < fewest
      ? { ...object, kind: "changed", want: [entries(fewest)], have: [entries(have.count)] }
      : undefined;
  }
  const haveLines = [sameHead ? headline(want) : headline(have), ...(have.members?.lasting ?? [])];
  if (sameHead && sameMembers(want, have)) return undefined;
  return { ...object, kind: "changed", ...lineDifference(wantLines, haveLines) };
}

/** What is wrong with a list's members; undefined where they weren't read. How long one has still to live isn't compared. */
export function foundOf({ live, isReadWhole }: TargetSet, have: SetSnapshot): FoundMembers | undefined {
  return isReadWhole && have.isReadWhole ? live?.look.found() : undefined;
}

export function isRight({ missing, strays }: FoundMembers): boolean {
  return missing + strays === 0;
}

function foundLines(found: FoundMembers): Pick<Difference, "want" | "have" | "more"> {
  const { missing, missingShown, strays, straysShown } = found;
  const more = missing - missingShown.length + strays - straysShown.length;
  return { ...lineDifference(missingShown, straysShown), ...(more > 0 ? { more } : {}) };
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
