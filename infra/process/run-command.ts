import { spawn } from "node:child_process";

export interface CommandOptions {
  input?: string;
  /** The command is killed after this; 10 s unless said. */
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end and returns what it said; a code other than 0 is the caller's to judge. */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { input = "", timeoutMs = 30_000, env = process.env } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, timeout: timeoutMs, killSignal: "SIGKILL" });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error) => reject(new Error(`${command} could not be started: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (signal)
        reject(new Error(`${command} ${args.join(" ")} was ended by ${signal} (limit ${timeoutMs} ms)`));
      else resolve({ code: code ?? 1, stdout, stderr });
    });
    child.stdin.on("error", () => {}); // a command that doesn't read its input
    child.stdin.end(input);
  });
}

/** As `tryCommand`, but a code other than 0 throws with the command's own words; returns stdout. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(command, args, options);
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} failed (${code}): ${(stderr || stdout).trim()}`);
  return stdout;
}
