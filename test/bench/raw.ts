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
