import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { Ids } from "./services.ts";

/** Without vowels and look-alikes, so that no id reads as a word or is mistyped. */
const LETTERS = "bcdfghjkmnpqrstvwxz23456789";

export const randomIds: Ids = {
  uuid: () => randomUUID(),
  short: (prefix) =>
    `${prefix}-${[...randomBytes(8)].map((byte) => LETTERS[byte % LETTERS.length]).join("")}`,
};

/** The same UUID for the same text: what comes twice (a report) makes the same event, which is stored once. */
export function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
