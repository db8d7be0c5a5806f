import { temporarySet } from "@sluice/proto/base/names";
import type { LiveMembers, Script, TargetSet } from "../driver.ts";
import { foundOf, isRight } from "./diff.ts";
import { createWords, optionValue, sameOptions } from "./options.ts";
import type { IpsetSnapshot, SetSnapshot } from "./snapshot.ts";

/** A hash that is fuller than this is grown, by a swap: a full one refuses. */
export const NEARLY_FULL = 0.75;

/** A list's set: made and filled, mended, or filled anew where that is less. */
export function renderList(
  set: TargetSet,
  live: LiveMembers,
  want: SetSnapshot | undefined,
  have: IpsetSnapshot,
): Script[] {
  const standing = have.sets.get(set.name);
  if (standing === undefined) return [renderFill(set, live)];
  if (standing.type !== set.type || standing.family !== set.family)
    return [renderFill(set, live, `destroy ${set.name}`)];
  const { all, fewest } = live.counts();
  if (want !== undefined && !sameOptions(want.options, standing.options, set.use))
    return all > 0 || standing.count === 0 ? [renderReplace(set, live, have)] : [];
  const found = foundOf(set, standing);
  if (found === undefined ? standing.count >= fewest : isRight(found)) return [];
  const room = Number(optionValue(standing.options, "maxelem") ?? Number.POSITIVE_INFINITY);
  const isMuch = found !== undefined && (!found.areNamed || found.missing + found.strays > all + 3);
  if (isMuch || all > room * NEARLY_FULL) return [renderReplace(set, live, have)];
  const more = () => (found === undefined ? live.addLines(set.name) : live.look.mendLines(set.name));
  return [{ ...script(set, `set/${set.name}: members`), more }];
}

/** A list's content whole, filled aside and swapped in; what the set held before is gone. */
export function renderReplace(set: TargetSet, live: LiveMembers, have: IpsetSnapshot): Script {
  if (!have.sets.has(set.name)) return renderFill(set, live);
  const temporary = temporarySet(set.name);
  const left = have.sets.has(temporary) ? [`destroy ${temporary}`] : [];
  return {
    ...renderFill({ ...set, name: temporary }, live, ...left),
    what: `set/${set.name}: ${live.counts().all} entries`,
    end: `swap ${temporary} ${set.name}\ndestroy ${temporary}\n`,
  };
}

function renderFill(set: TargetSet, live: LiveMembers, ...before: string[]): Script {
  const lines = [...before, `create ${set.name} ${createWords({ ...set, live }).join(" ")}`];
  return {
    ...script(set, `set/${set.name}: ${live.counts().all} entries`),
    text: `${lines.join("\n")}\n`,
    more: () => live.addLines(set.name),
  };
}

function script(set: TargetSet, what: string): Script {
  return { driver: "ipset", what, tool: "ipset", text: "", originOf: () => set.origin };
}
