import { z } from "zod";
import { parseDurationMs, parseRateBitPerSec, parseSizeBytes } from "../base/units.ts";

/** How one kind of value is read from the text that stands in the file, and what to say where it can't be. */
export interface Field<T> {
  expected: string;
  schema: z.ZodType<T>;
}

export function optional<T>(field: Field<T>): Field<T | undefined> {
  return { expected: field.expected, schema: field.schema.optional() };
}

export function withDefault<T>(field: Field<T>, value: NoInfer<T>): Field<T> {
  return { expected: field.expected, schema: field.schema.optional().transform((given) => given ?? value) };
}

/** A text that `parse` makes something of, or a problem. */
export function parsed<T>(expected: string, parse: (text: string) => T | undefined): Field<T> {
  const schema = z.string().transform((text, ctx): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    ctx.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });
  return { expected, schema };
}

export function listOf<T>(field: Field<T>, expected: string): Field<T[]> {
  return { expected, schema: z.array(field.schema) };
}

/** One line of text: control characters could end a line that is fed to a tool. */
export const lineOfText: Field<string> = parsed("one line of text", (text) =>
  /\p{Cc}/u.test(text) ? undefined : text,
);

/** Several lines are fine: for people alone. */
export const freeText: Field<string> = { expected: "text", schema: z.string().max(2000) };

export const flag: Field<boolean> = parsed("true or false", (text) =>
  text === "true" ? true : text === "false" ? false : undefined,
);

export function integer(min: number, max: number): Field<number> {
  return parsed(`a whole number from ${min} to ${max}`, (text) => wholeNumber(text, min, max));
}

export function oneOf<const T extends string>(values: readonly T[]): Field<T> {
  return parsed(`one of ${values.join(", ")}`, (text) => values.find((value) => value === text));
}

export function matching(expected: string, pattern: RegExp): Field<string> {
  return parsed(expected, (text) => (pattern.test(text) ? text : undefined));
}

export function duration(expected: string, minMs: number, maxMs: number): Field<number> {
  return parsed(expected, (text) => within(parseDurationMs(text), minMs, maxMs));
}

/** Whole seconds, because the kernel counts in them. */
export function wholeSeconds(expected: string, minMs: number, maxMs: number): Field<number> {
  return parsed(expected, (text) => {
    const ms = within(parseDurationMs(text), minMs, maxMs);
    return ms === undefined || ms % 1000 !== 0 ? undefined : ms;
  });
}

export const rate: Field<number> = parsed(
  "a rate in bits per second, such as 200kbit, 1.5mbit or 1gbit",
  (text) => within(parseRateBitPerSec(text), 8, Number.MAX_SAFE_INTEGER),
);

/** What may be nothing for a while. */
export const rateOrNone: Field<number> = parsed(
  "a rate in bits per second, such as 200kbit, or 0bit",
  (text) => (parseRateBitPerSec(text) === 0 ? 0 : rate.schema.safeParse(text).data),
);

export const size: Field<number> = parsed("a size in bytes, such as 1500, 16k or 1mb", (text) =>
  within(parseSizeBytes(text), 1, 0xffffffff),
);

export function wholeNumber(text: string, min: number, max: number): number | undefined {
  return /^(0|-?[1-9]\d{0,15})$/.test(text) ? within(Number(text), min, max) : undefined;
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
