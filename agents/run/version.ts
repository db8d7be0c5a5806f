import { readFileSync } from "node:fs";
import { z } from "zod";

/** Set by the build; absent where the sources run as they are. */
declare const SLUICE_VERSION: string | undefined;

export function agentVersion(): string {
  if (typeof SLUICE_VERSION === "string") return SLUICE_VERSION;
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
