import { readFileSync } from "node:fs";

/** Set by the build, which puts the text into the bundle; absent where the sources run as they are. */
declare const SLUICE_STATION_SCRIPT: string | undefined;

/** The text of `station.mjs`. */
export function stationScript(): string {
  if (typeof SLUICE_STATION_SCRIPT === "string") return SLUICE_STATION_SCRIPT;
  return readFileSync(new URL("./station.mjs", import.meta.url), "utf8");
}
