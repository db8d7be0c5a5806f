import { hash } from "node:crypto";
import { canonicalJson } from "./canonical.ts";

/** sha256 of the UTF-8 text or the bytes, as 64 lower-case hex digits. */
export function sha256Hex(input: string | Uint8Array): string {
  return hash("sha256", input, "hex");
}

/** The same as bytes. By way of a string: a buffer of its own for each costs twice as much, and the collector's time beside. */
export function sha256(input: string | Uint8Array): Buffer {
  return Buffer.from(hash("sha256", input, "binary"), "binary");
}

/** Digest of a JSON value: sha256 of its canonical text. Equal values have equal digests. */
export function digestOf(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}
