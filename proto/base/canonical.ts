import canonicalize from "canonicalize";

/** Canonical JSON text (RFC 8785). Throws on what JSON can't hold (NaN, functions, cycles). */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("this value has no JSON form");
  return text;
}
