import { readFileSync } from "node:fs";

/** Set by the build, which puts the text into the bundle; absent where the sources run as they are. */
declare const SLUICE_UNDO_SCRIPT: string | undefined;

/** The text of `undo.sh`. */
export function undoScript(): string {
  if (typeof SLUICE_UNDO_SCRIPT === "string") return SLUICE_UNDO_SCRIPT;
  return readFileSync(new URL("./undo.sh", import.meta.url), "utf8");
}
