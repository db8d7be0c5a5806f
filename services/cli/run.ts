import { createRequire } from "node:module";
import { CommanderError } from "commander";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { createProgram } from "./program.ts";
import { usageMessage } from "./usage-error.ts";

const { version } = createRequire(import.meta.url)("./package.json") as { version: string };

/** Runs the command that this process was started with, and sets its exit code. */
export async function run(): Promise<void> {
  // `sluice audit log | head -1`: whoever reads has had enough
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode);
    throw error;
  });
  try {
    await createProgram(version).parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = usageFault(error);
  }
}

/** Commander has said it on stderr already. */
function usageFault({ code, exitCode, message }: CommanderError): ExitCode {
  if (exitCode === 0) return EXIT.done;
  if (process.argv.includes("--json")) {
    const said = code === "commander.help" ? "a command is missing" : usageMessage(message);
    console.log(JSON.stringify({ error: { code: "INVALID", message: said, problems: [] } }));
  }
  return EXIT.refused;
}
