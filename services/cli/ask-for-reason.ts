import { createInterface } from "node:readline/promises";
import { z } from "zod";
import { errorViewOf } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

const withReason = z.object({ reason: z.string() });

/**
 * Where a command failed for want of a reason, and a person is there: asks for it, and puts it into the command's options.
 * False where there is nobody to ask, or nothing was said.
 */
export async function askForReason(
  thrown: unknown,
  options: unknown,
  { json }: Pick<Terminal, "json">,
): Promise<boolean> {
  const { message, problems } = errorViewOf(thrown);
  const isMissing = problems.some(({ path }) => path === "reason");
  if (!isMissing || json || !process.stdin.isTTY || !process.stderr.isTTY) return false;
  if (!withReason.safeParse(options).success) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  lines.once("SIGINT", () => {
    lines.close(); // the terminal is given back first
    process.kill(process.pid, "SIGINT");
  });
  try {
    const said = await lines.question(`${message}. Why is it done? `).catch(nothingOnCtrlD);
    const reason = said.trim();
    Object.assign(options ?? {}, { reason });
    return reason !== "";
  } finally {
    lines.close();
  }
}

function nothingOnCtrlD(error: unknown): string {
  if (error instanceof Error && error.name === "AbortError") return "";
  throw error;
}
