import { createInterface } from "node:readline/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Terminal } from "./terminal.ts";

/** Throws REFUSED where there is nobody to ask. */
export function mustBeAsked({ json }: Pick<Terminal, "json">): void {
  if (!json && process.stdin.isTTY && process.stderr.isTTY) return;
  throw new SluiceError("REFUSED", "this can't be undone, and there is nobody to ask", { cure: "say --yes" });
}

/** Asks a person whether to go on. */
export async function askToGoOn(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
