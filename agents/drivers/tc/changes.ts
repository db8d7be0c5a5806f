import type { TcClass, TcFilter, TcQdisc } from "@sluice/proto/manifest/manifest";
import { comparableWords } from "./comparable-words.ts";
import type { Objects, Side } from "./sides.ts";
import { filterKey } from "./sides.ts";
import type { ClassState, FilterState, QdiscState } from "./snapshot.ts";

/**
 * What differs on one side, object by object. Both the diff that people read and the script that mends it come from here.
 *
 * The place (parent, kind) is compared with the target, the options with what the rehearsal read back: tc sometimes
 * answers 0 and does something else (a class under a parent that isn't there goes to the root; a class that changes
 * its parent stays; a leaf that becomes inner loses its qdisc), and then the rehearsal's read-back is wrong as well.
 */
export type Change =
  | (ChangeOf<TcQdisc, QdiscState> & { object: "qdisc" })
  | (ChangeOf<TcClass, ClassState> & { object: "class" })
  | (ChangeOf<TcFilter, FilterState> & { object: "filter" });

interface ChangeOf<Target, State> {
  kind: "missing" | "changed" | "extra";
  key: string;
  target?: Target | undefined;
  want?: State | undefined;
  have?: State | undefined;
}

export function changesOf(side: Side): Change[] {
  const { target, want, have } = side;
  const changes: Change[] = [];
  const isInner = leafOnOneSide(want, have);
  changes.push(
    ...compare(
      target.qdiscs,
      want?.qdiscs,
      have.qdiscs,
      (one) => one.handle,
      samePlace,
      () => false,
    ).map((change) => ({ ...change, object: "qdisc" as const })),
    ...compare(target.classes, want?.classes, have.classes, (one) => one.classid, samePlace, isInner).map(
      (change) => ({ ...change, object: "class" as const }),
    ),
    ...compare(target.filters, want?.filters, have.filters, filterKey, sameGroup, () => false).map(
      (change) => ({
        ...change,
        object: "filter" as const,
      }),
    ),
  );
  return changes;
}

type Comparable = { kind: string; words: readonly string[] };
type Wanted = { kind: string; args: readonly string[] };

function compare<Target extends Wanted, State extends Comparable>(
  targets: readonly Target[],
  wants: readonly State[] | undefined,
  haves: readonly State[],
  keyOf: (one: Target | State) => string,
  isSamePlace: (target: Target, have: State) => boolean,
  isLeafOnOneSide: (key: string) => boolean,
): ChangeOf<Target, State>[] {
  const want = new Map(wants?.map((state) => [keyOf(state), state]));
  const have = new Map(haves.map((state) => [keyOf(state), state]));
  const changes: ChangeOf<Target, State>[] = [];
  for (const target of targets) {
    const key = keyOf(target);
    const wanted = want.get(key);
    const standing = have.get(key);
    have.delete(key);
    if (standing === undefined) {
      changes.push({ kind: "missing", key, target, want: wanted });
      continue;
    }
    const isSame =
      target.kind === standing.kind &&
      isSamePlace(target, standing) &&
      wanted !== undefined &&
      sameWords(target, wanted, standing, isLeafOnOneSide(key));
    if (!isSame) changes.push({ kind: "changed", key, target, want: wanted, have: standing });
  }
  for (const [key, standing] of have) changes.push({ kind: "extra", key, have: standing });
  return changes;
}

function sameWords(target: Wanted, want: Comparable, have: Comparable, isLeafOnOneSide: boolean): boolean {
  const asked = { kind: target.kind, args: target.args, isLeafOnOneSide };
  return comparableWords(want.words, asked).join(" ") === comparableWords(have.words, asked).join(" ");
}

function samePlace(target: { parent: string }, have: { parent: string }): boolean {
  return target.parent === have.parent;
}

function sameGroup(
  target: { parent: string; protocol: string },
  have: { parent: string; protocol: string },
): boolean {
  return samePlace(target, have) && target.protocol === have.protocol;
}

/** Is this class inner on one of the two and a leaf on the other? */
function leafOnOneSide(want: Objects | undefined, have: Objects): (classid: string) => boolean {
  const wantInner = new Set(want?.classes.map((one) => one.parent));
  const haveInner = new Set(have.classes.map((one) => one.parent));
  return (classid) => wantInner.has(classid) !== haveInner.has(classid);
}
