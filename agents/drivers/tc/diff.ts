import type { Difference } from "@sluice/proto/manifest/difference";
import type { Target } from "../driver.ts";
import type { Change } from "./changes.ts";
import { changesOf } from "./changes.ts";
import { readableWords } from "./comparable-words.ts";
import type { Side } from "./sides.ts";
import { sidesOf } from "./sides.ts";
import type { TcSnapshot } from "./snapshot.ts";
import { ABSENT } from "./snapshot.ts";

/** Pure. `want` is what a rehearsal of this target read back; compared with itself it shows what the kernel ignored. */
export function diffTc(target: Target, want: TcSnapshot, have: TcSnapshot): Difference[] {
  return sidesOf(target.devices, want, have).flatMap((side) => [
    ...deviceDifferences(side, have),
    ...changesOf(side).map((change) => differenceOf(side, change)),
  ]);
}

/** An IFB that is to stand or to go; an owned device that isn't there. */
function deviceDifferences(side: Side, have: TcSnapshot): Difference[] {
  const state = have.devices[side.device] ?? ABSENT;
  const origin = side.target.qdiscs[0]?.origin;
  const isIfb = side.device === side.ifb;
  const isWanted = side.target.qdiscs.length > 0;
  const base = { driver: "tc" as const, object: `${side.device}/device`, ...(origin && { origin }) };
  if (isWanted && !state.exists)
    return side.at === "ingress"
      ? []
      : [{ ...base, kind: "missing", want: [deviceText(side.device, isIfb)] }];
  if (isWanted && isIfb && !state.up) return [{ ...base, kind: "changed", want: ["up"], have: ["down"] }];
  if (!isWanted && isIfb && state.exists)
    return [{ ...base, kind: "extra", have: [deviceText(side.device, true)] }];
  return [];
}

function deviceText(device: string, isIfb: boolean): string {
  return isIfb ? `${device} type ifb` : device;
}

function differenceOf(side: Side, change: Change): Difference {
  const origin = change.target?.origin;
  const want = wantText(change);
  const have = haveText(change);
  return {
    driver: "tc",
    object: `${side.device}/${change.object}/${change.key}`,
    kind: change.kind,
    ...(want !== undefined && { want: [want] }),
    ...(have !== undefined && { have: [have] }),
    ...(origin && { origin }),
  };
}

/** In the kernel's spelling where the rehearsal has it, so that both sides of a change read alike. */
function wantText(change: Change): string | undefined {
  const { target, want } = change;
  if (target === undefined) return undefined;
  return text({ ...target, words: want?.words ?? target.args }, detail(change));
}

function haveText(change: Change): string | undefined {
  return change.have === undefined ? undefined : text(change.have, detail(change));
}

/** Everything tc said, where the readable part of both sides is the same. */
function detail(change: Change): "readable" | "all" {
  const { target, want, have } = change;
  if (target === undefined || want === undefined || have === undefined) return "readable";
  return text({ ...target, words: want.words }, "readable") === text(have, "readable") ? "all" : "readable";
}

function text(
  one: { kind: string; parent: string; protocol?: string; words: readonly string[] },
  detail: "readable" | "all",
): string {
  const words = detail === "all" ? one.words : readableWords(one.words);
  const place = one.parent === "root" || one.parent === "ingress" ? one.parent : `parent ${one.parent}`;
  return [one.kind, place, ...(one.protocol ? [`protocol ${one.protocol}`] : []), ...words].join(" ");
}
