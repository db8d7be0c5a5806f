import { entityName } from "@sluice/proto/api/common";
import { SluiceError } from "@sluice/proto/base/errors";
import { parseDurationMs } from "@sluice/proto/base/units";
import { InvalidArgumentError } from "commander";

/** Words of the command line as values. What they throw completes the sentence "… expected". */
export function nameArgument(text: string): string {
  if (!entityName.safeParse(text).success)
    throw new InvalidArgumentError("lower-case letters, digits and inner dashes, at most 63");
  return text;
}

/** For repeatable options; `a,b` counts as two. */
export function nameList(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(",").map(nameArgument)];
}

export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export function durationArgument(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError("a duration such as 90s, 30m, 1h or 2d");
  return ms;
}

export function revisionArgument(text: string): number {
  return wholeNumber(text, 1, "a revision: 1, 2, 3 …");
}

/** Also 0, the empty text before the first. */
export function diffFromArgument(text: string): number {
  return wholeNumber(text, 0, "a revision: 1, 2, 3 …, or 0 for nothing");
}

export function rollbackToArgument(text: string): number | "previous" {
  return text === "previous" ? text : wholeNumber(text, 1, "a revision: 1, 2, 3 …, or 'previous'");
}

export function countArgument(text: string): number {
  return wholeNumber(text, 1, "a number from 1");
}

/** Where API pages end. */
export function pageArgument(text: string): number {
  const count = countArgument(text);
  if (count > 1000) throw new InvalidArgumentError("a number from 1 to 1000");
  return count;
}

function wholeNumber(text: string, least: number, expected: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  if (value < least) throw new InvalidArgumentError(expected);
  return value;
}

export const TIME_HELP = "2026-03-01T14:02:00Z, '2026-03-01 14:02' (UTC), or 2h for two hours ago";

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/i;

/** A date, a date and time (UTC unless it has a zone, as the CLI prints them), or how long ago (`2h`). Gives ISO. */
export function timeArgument(text: string): string {
  const agoMs = parseDurationMs(text);
  const [, date, time = "00:00", zone = "Z"] = TIME.exec(text) ?? [];
  const found = agoMs === undefined ? new Date(`${date}T${time}${zone}`) : new Date(Date.now() - agoMs);
  if (Number.isNaN(found.getTime()))
    throw new InvalidArgumentError("a time such as 2026-03-01T14:02:00Z, or how long ago: 2h");
  return found.toISOString();
}

/** `key=value` pairs, and `key-` to take one away. */
export function labelArguments(words: readonly string[]): { set: Record<string, string>; unset: string[] } {
  const set: Record<string, string> = {};
  const unset: string[] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    if (/\s/.test(word.slice(0, Math.max(equals, 0))))
      throw new SluiceError("INVALID", `the key of label '${word}' has blanks in it`, {
        cure: "such as role=web",
      });
    if (equals > 0) set[word.slice(0, equals)] = word.slice(equals + 1);
    else if (word.endsWith("-") && word.length > 1) unset.push(word.slice(0, -1));
    else
      throw new SluiceError("INVALID", `label '${word}' is neither key=value nor key-`, {
        cure: "role=web sets it, role- takes it away",
      });
  }
  return { set, unset };
}

/** Where only pairs make sense: to choose by labels, and to give them to a new server. */
export function labelPairs(words: readonly string[]): Record<string, string> {
  const { set, unset } = labelArguments(words);
  const [odd] = unset;
  if (odd !== undefined)
    throw new SluiceError("INVALID", `label '${odd}-' is no key=value`, { cure: "such as role=web" });
  return set;
}
