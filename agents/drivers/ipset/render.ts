import { SluiceError } from "@sluice/proto/base/errors";
import { temporarySet } from "@sluice/proto/base/names";
import type { Origin } from "@sluice/proto/manifest/manifest";
import type { Script, Steps, Target, TargetSet } from "../driver.ts";
import { without } from "../line-difference.ts";
import { sameMembers } from "./diff.ts";
import { elementOf } from "./entry.ts";
import { createWords, membersOf, optionValue, sameOptions } from "./options.ts";
import { renderList } from "./render-list.ts";
import type { IpsetSnapshot, SetSnapshot } from "./snapshot.ts";

/**
 * Everything that is built goes into one `ipset restore`, lists aside: each has one of its own, since its members are
 * too many for one text.
 *
 * 1. `restore` isn't atomic, so content that rules look at is never half there: a new set is filled before any rule
 *    names it; a standing one is changed by a few adds and dels (adds first), or filled under a temporary name and
 *    swapped in, which the kernel does at once.
 * 2. A swap is refused across type and family. Their letters stand in our names, so it doesn't happen; where somebody
 *    made a set of that name with another type, it is made anew if nothing uses it, else refused.
 * 3. A list that stands keeps its members: they change by deltas. Members it has lost are added again; where they were
 *    read, those that it never had are taken out.
 * 4. Members that run out by themselves stay: a swap takes them along.
 */
export function renderIpset(target: Target, want: IpsetSnapshot | undefined, have: IpsetSnapshot): Steps {
  const lines = new Lines();
  const counts = { create: 0, change: 0 };
  const refused: SluiceError[] = [];
  const lists: Script[] = [];
  for (const set of lastSetsOfSets(target.sets)) {
    const standing = have.sets.get(set.name);
    if (standing !== undefined && isOtherType(set, standing) && standing.references > 0) {
      refused.push(otherType(set, standing));
    } else if (set.live !== undefined) {
      lists.push(...renderList(set, set.live, want?.sets.get(set.name), have));
    } else if (standing === undefined) {
      lines.fill(set.name, set);
      counts.create++;
    } else if (change(lines, set, want?.sets.get(set.name), standing, have)) {
      counts.change++;
    }
  }
  const what = [tell(counts.create, "new"), tell(counts.change, "changed")]
    .filter((part) => part !== "")
    .join(", ");
  const gone = [...have.sets.values()].filter(({ name }) => !target.sets.some((set) => set.name === name));
  return {
    build: [...(lines.isEmpty ? [] : [lines.script(`sets: ${what}`)]), ...lists],
    remove: gone.length === 0 ? [] : [renderDestroy(gone)],
    ...(refused.length > 0 && { refused }),
  };
}

function change(
  lines: Lines,
  set: TargetSet,
  want: SetSnapshot | undefined,
  standing: SetSnapshot,
  have: IpsetSnapshot,
): boolean {
  if (isOtherType(set, standing)) {
    lines.push(`destroy ${set.name}`, set.origin);
    lines.fill(set.name, set);
    return true;
  }
  const otherOptions = want !== undefined && !sameOptions(want.options, standing.options, set.use);
  if (set.use === "list") return false; // a rehearsal: no rule depends on its members
  if (want !== undefined && !otherOptions && sameMembers(want, standing)) return false;
  const edits = want === undefined || otherOptions ? undefined : edit(set, want, standing);
  if (edits === undefined) lines.swap(set, standing.members?.expiring ?? [], have);
  else for (const line of edits) lines.push(line, set.origin);
  return true;
}

function isOtherType(set: TargetSet, standing: SetSnapshot): boolean {
  return standing.type !== set.type || (set.family !== null && standing.family !== set.family);
}

/** Adds and dels in the kernel's own spelling, unless filling and swapping is less, or the set would overflow. */
function edit(set: TargetSet, want: SetSnapshot, standing: SetSnapshot): string[] | undefined {
  const wanted = want.members?.lasting ?? [];
  const present = standing.members?.lasting ?? [];
  const add = without(wanted, present);
  const del = without(present, wanted);
  const elements = new Set(add.map(elementOf));
  const edits = [
    ...add.map((entry) => `add -exist ${set.name} ${entry}`),
    // the same element with other options (a comment, nomatch) is already overwritten by its add
    ...del
      .filter((entry) => !elements.has(elementOf(entry)))
      .map((entry) => `del -exist ${set.name} ${elementOf(entry)}`),
  ];
  const room = optionValue(standing.options, "maxelem") ?? optionValue(standing.options, "size");
  const fits = room === undefined || standing.count + add.length <= Number(room);
  return fits && edits.length < wanted.length + 3 ? edits : undefined;
}

/** Lines of a script, and where they come from. A set's members are one piece: there may be a hundred thousand. */
class Lines {
  private readonly pieces: { text: string; end: number; origin: Origin | undefined }[] = [];
  private count = 0;

  get isEmpty(): boolean {
    return this.count === 0;
  }

  push(text: string, origin: Origin | undefined, lines = 1): void {
    this.count += lines;
    this.pieces.push({ text, end: this.count, origin });
  }

  fill(name: string, set: TargetSet): void {
    this.push(`create ${name} ${createWords(set).join(" ")}`, set.origin);
    const entries = membersOf(set);
    const add = `add -exist ${name} `;
    if (entries.length > 0) this.push(add + entries.join(`\n${add}`), set.origin, entries.length);
  }

  swap(set: TargetSet, expiring: readonly string[], have: IpsetSnapshot): void {
    const temporary = temporarySet(set.name);
    if (have.sets.has(temporary)) this.push(`destroy ${temporary}`, undefined);
    this.fill(temporary, set);
    if (set.options.includes("timeout")) {
      const named = new Set(set.entries.map(elementOf));
      for (const entry of expiring) {
        if (!named.has(elementOf(entry))) this.push(`add -exist ${temporary} ${entry}`, set.origin);
      }
    }
    this.push(`swap ${temporary} ${set.name}`, set.origin);
    this.push(`destroy ${temporary}`, set.origin);
  }

  script(what: string): Script {
    const { pieces } = this;
    const texts = pieces.map(({ text }) => text);
    return { ...script(what, texts), originOf: (line) => pieces.find(({ end }) => line < end)?.origin };
  }
}

function renderDestroy(sets: readonly SetSnapshot[]): Script {
  const setsOfSetsFirst = [
    ...sets.filter(({ type }) => type === "list:set"),
    ...sets.filter(({ type }) => type !== "list:set"),
  ];
  const lines = setsOfSetsFirst.map(({ name }) => `destroy ${name}`);
  return script(`remove ${lines.length} ${lines.length === 1 ? "set" : "sets"}`, lines);
}

function lastSetsOfSets(sets: readonly TargetSet[]): TargetSet[] {
  return [
    ...sets.filter(({ type }) => type !== "list:set"),
    ...sets.filter(({ type }) => type === "list:set"),
  ];
}

function otherType(set: TargetSet, standing: SetSnapshot): SluiceError {
  const as = (type: string, family: number | null) => (family === null ? type : `${type} of IPv${family}`);
  return new SluiceError(
    "REFUSED",
    `set ${set.name} stands as ${as(standing.type, standing.family)}, wanted is ${as(set.type, set.family)}, and ${standing.references} rules or sets use it`,
    { cure: "the kernel can't change a set's type: take away what uses it, then destroy it" },
  );
}

function script(what: string, lines: readonly string[]): Script {
  return { driver: "ipset", what, tool: "ipset", text: `${lines.join("\n")}\n` };
}

function tell(n: number, what: string): string {
  return n === 0 ? "" : `${n} ${what}`;
}
