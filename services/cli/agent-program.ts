import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { z } from "zod";

const failure = z.object({ ok: z.literal(false), reason: z.string(), cure: z.string().optional() });

/**
 * Runs one of the agent's commands on this machine, as a process: the agent's program given, that of this checkout, or
 * the one installed. Returns what it says as JSON, whatever its exit code; throws what it failed with.
 */
export async function askAgent<T>(
  program: string | undefined,
  words: readonly string[],
  shape: z.ZodType<T>,
  input = "",
): Promise<T> {
  const [command, ...first] = commandOf(program);
  const child = spawn(command, [...first, ...words, "--json"], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", (cause) => reject(cannotStart(command, cause)));
    child.on("close", () => resolve());
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const said: unknown = stdout.trim() === "" ? undefined : JSON.parse(stdout);
  const answer = shape.safeParse(said);
  if (answer.success) return answer.data;
  const failed = failure.safeParse(said);
  if (!failed.success) throw new SluiceError("UNAVAILABLE", `the agent said nothing: ${stderr.trim()}`);
  const { reason, cure } = failed.data;
  throw new SluiceError("UNAVAILABLE", reason, cure === undefined ? {} : { cure });
}

function commandOf(program: string | undefined): [string, ...string[]] {
  const inCheckout = fileURLToPath(new URL("../../agents/main.ts", import.meta.url));
  const file = program ?? (existsSync(inCheckout) ? inCheckout : undefined);
  return file === undefined ? ["sluice-agent"] : [process.execPath, file];
}

function cannotStart(command: string, cause: unknown): SluiceError {
  return new SluiceError("UNAVAILABLE", `${command} can't be started: ${messageOf(cause)}`, {
    cure: "install the agent here, or say where it is with --agent",
  });
}
