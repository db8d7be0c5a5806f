import type { Namespace } from "@sluice/agents/exec/namespace";

/** a million entries load in 2 s, on a busy machine in more than 30 */
const RESTORE_TIMEOUT_MS = 180_000;

/** A tool run bare, in the same namespace and by the same way of starting it as the drivers have. */
export async function raw(
  at: Namespace,
  command: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { code, stdout, stderr } = await at.run(command, args, { input });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr.trim()}`);
  return stdout;
}

/** A file restored as anyone would: without what the agent's environment makes quicker about it. */
export async function rawIpsetRestore(at: Namespace, file: string): Promise<void> {
  const { code, stderr } = await at.run("env", ["-u", "RES_OPTIONS", "ipset", "-file", file, "restore"], {
    timeoutMs: RESTORE_TIMEOUT_MS,
  });
  if (code !== 0) throw new Error(`${file} can't be restored: ${stderr.trim() || code}`);
}
