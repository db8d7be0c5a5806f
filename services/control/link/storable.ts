import { holdsNul } from "@sluice/db/log/event-body";

/** Whether Postgres can keep a value as JSON: it takes neither a NUL character nor half a surrogate pair. */
export function isStorable(value: unknown): boolean {
  const text = JSON.stringify(value) ?? "";
  return !holdsNul(text) && !HALF_CHARACTER.test(text);
}

/** JSON.stringify escapes half a pair, and no other character of that range; a backslash that is text comes doubled. */
const HALF_CHARACTER = /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/;
