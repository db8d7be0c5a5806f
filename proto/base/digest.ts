import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical.ts";

/** sha256 of the UTF-8 text or the bytes, as 64 lower-case hex digits. */
export function sha256Hex(input: string | Uint8Array): string {
  return createHash("sha256").update(input).digest("hex");
}

/** Digest of a JSON value: sha256 of its canonical text. Equal values have equal digests. */
export function digestOf(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}
