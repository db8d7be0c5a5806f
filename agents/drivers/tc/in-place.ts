import type { Change } from "./changes.ts";

/**
 * May this object be changed where it stands?
 *
 * `change` keeps counters and queued packets, but it is only right where it leads to what `add` would have made:
 * - htb (qdisc) has no change at all; netem, fq, codel, cake … keep the old value of whatever isn't named any more.
 * - an empty argument list changes nothing, and answers 0.
 * - `class change` to another parent answers 0 and moves nothing.
 * - a u32 `replace` takes the new class and keeps the old match, and answers 0: filters are always made anew.
 */
const QDISCS_THAT_CHANGE = new Set(["pfifo", "bfifo", "tbf", "prio"]);
const CLASSES_THAT_CHANGE = new Set(["htb", "drr", "qfq"]);
const HFSC_CURVES: Readonly<Record<string, readonly string[]>> = {
  rt: ["rt"],
  ls: ["ls"],
  ul: ["ul"],
  sc: ["rt", "ls"],
};

export function changesInPlace(change: Change): boolean {
  const { target, want, have } = change;
  if (target === undefined || want === undefined || have === undefined || change.object === "filter")
    return false;
  if (target.kind !== have.kind || target.parent !== have.parent || target.args.length === 0) return false;
  if (change.object === "qdisc") return QDISCS_THAT_CHANGE.has(target.kind);
  if (target.kind === "hfsc") return curves(have.words).every((curve) => curves(want.words).includes(curve));
  return CLASSES_THAT_CHANGE.has(target.kind);
}

/** An hfsc class keeps a curve that isn't named any more. */
function curves(words: readonly string[]): string[] {
  return words.flatMap((word) => HFSC_CURVES[word] ?? []);
}
