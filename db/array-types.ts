/**
 * The types of arrays that our statements pass and get, for postgres.js. It would ask the database for all of them at
 * the begin of every connection, in a promise of its own: a connection lost at that moment rejects it, and the process
 * ends by a rejection that nobody could handle.
 */
const INT4_ARRAY = 1007;
const TEXT_ARRAY = 1009;
const INT8_ARRAY = 1016;
const TIMESTAMPTZ_ARRAY = 1185;
const UUID_ARRAY = 2951;

export const arrayTypes = {
  texts: arrayOf(TEXT_ARRAY, quoted, unquoted),
  integers: arrayOf(INT4_ARRAY, String, Number),
  bigints: arrayOf(INT8_ARRAY, String, exactly),
  times: arrayOf(TIMESTAMPTZ_ARRAY, quoted, unquoted),
  uuids: arrayOf(UUID_ARRAY, String, String),
};

function arrayOf<T>(oid: number, write: (value: T) => string, read: (text: string) => T) {
  return {
    to: oid,
    from: [oid],
    serialize: (values: readonly (T | null)[]) =>
      `{${values.map((value) => (value === null ? "NULL" : write(value))).join(",")}}`,
    parse: (text: string): (T | null)[] =>
      (text.slice(1, -1).match(ELEMENT) ?? []).map((element) => (element === "NULL" ? null : read(element))),
  };
}

/** One element of `{a,"b c",NULL}`. */
const ELEMENT = /"(?:[^"\\]|\\.)*"|[^,]+/gs;

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function unquoted(element: string): string {
  return element.startsWith('"') ? element.slice(1, -1).replace(/\\(.)/gs, "$1") : element;
}

/** An int8 as a number; beyond 2^53 it throws. */
export function exactly(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond what a number holds exactly`);
  return value;
}
