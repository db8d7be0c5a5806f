import { createInterface } from "node:readline/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import type { Terminal } from "./terminal.ts";

/** Asks a person whether to go on; where there is nobody to ask, it is refused. */
export async function askToGoOn(question: string, { json }: Pick<Terminal, "json">): Promise<boolean> {
  if (json || !process.stdin.isTTY || !process.stderr.isTTY)
    throw new SluiceError("REFUSED", `${question} There is nobody to ask`, { cure: "say --yes" });
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
