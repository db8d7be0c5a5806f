import type { Change } from "./changes.ts";

/**
 * May this object be changed where it stands?
 *
 * `change` keeps counters and queued packets, but it is only right where it leads to what `add` would have made:
 * - htb (qdisc), sfq, drr have no change at all; sfb and choke lose their packets by it.
 * - most kinds keep the old value of whatever isn't named any more: right where all that differs is named.
 * - an empty argument list changes nothing, and answers 0.
 * - `class change` to another parent answers 0 and moves nothing.
 * - a u32 `replace` takes the new class and keeps the old match, and answers 0: filters are always made anew.
 */
const TAKES_ALL_ANEW = new Set(["pfifo", "bfifo", "tbf", "prio"]);
const KEEPS_THE_UNNAMED = new Set(["fq_codel", "codel", "fq", "pie", "cake", "netem", "hfsc"]);
/** what the kernel settles when the qdisc is made */
const SETTLED: Readonly<Record<string, readonly string[]>> = { fq_codel: ["flows"] };

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
  if (change.object === "qdisc") {
    if (TAKES_ALL_ANEW.has(target.kind)) return true;
    return KEEPS_THE_UNNAMED.has(target.kind) && isAllNamed(target, want.words, have.words);
  }
  if (target.kind === "hfsc") return curves(have.words).every((curve) => curves(want.words).includes(curve));
  return CLASSES_THAT_CHANGE.has(target.kind);
}

/** Is every option in which the two differ one that the target names? */
function isAllNamed(
  { kind, args }: { kind: string; args: readonly string[] },
  want: readonly string[],
  have: readonly string[],
): boolean {
  const [wanted, standing] = [optionsOf(want), optionsOf(have)];
  const differing = [...new Set([...wanted.keys(), ...standing.keys()])].filter(
    (name) => wanted.get(name) !== standing.get(name),
  );
  return differing.every((name) => args.includes(name) && !SETTLED[kind]?.includes(name));
}

/** `limit 10240p flows 1024 ecn` → limit: 10240p, flows: 1024, ecn: nothing. A value that looks like a name is one. */
function optionsOf(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  let name = "";
  for (const word of words) {
    if (/^[a-z][a-z_-]*$/i.test(word)) {
      name = word;
      options.set(name, "");
    } else options.set(name, `${options.get(name) ?? ""} ${word}`);
  }
  return options;
}

/** An hfsc class keeps a curve that isn't named any more. */
function curves(words: readonly string[]): string[] {
  return words.flatMap((word) => HFSC_CURVES[word] ?? []);
}
