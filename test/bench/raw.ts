import type { Namespace } from "@sluice/agents/exec/namespace";

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
  await raw(at, "env", ["-u", "RES_OPTIONS", "ipset", "-file", file, "restore"]);
}
