import { existsSync, readFileSync } from "node:fs";
import { SluiceError } from "@sluice/proto/base/errors";
import { type KeySet, keyId, readPublicKey } from "@sluice/proto/base/sign";

/** Keys as auditors have them: a file with a PEM public key or the base64 inside of one, or that base64 itself. */
export function pinnedKeys(given: readonly string[]): KeySet | undefined {
  if (given.length === 0) return undefined;
  return Object.fromEntries(
    given.map((text) => {
      const content = existsSync(text) ? readFileSync(text, "utf8") : text;
      const key = content.replace(/-----[^-]+-----/g, "").replace(/\s/g, "");
      if (readPublicKey(key) !== undefined) return [keyId(key), key];
      throw new SluiceError("INVALID", `${text} is no Ed25519 public key`, {
        cure: "give a PEM file, or the base64 that stands in it; a server's agent has it in identity.json, under keys",
      });
    }),
  );
}
