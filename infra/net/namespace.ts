/**
 * Network namespaces by name, and commands in them. Nothing here ever touches the default namespace: every function
 * takes the name of one of ours.
 */
import { rm } from "node:fs/promises";
import { type CommandOptions, type CommandResult, runCommand, tryCommand } from "../process/run-command.ts";

/** The command that runs `command` within a namespace; for `startGuarded`. */
export function commandIn(namespace: string, command: readonly string[]): string[] {
  return ["ip", "netns", "exec", namespace, ...command];
}

/**
 * The environment for whatever runs iptables in a namespace. The lock of iptables is one file for the whole machine,
 * over all namespaces: with a file of its own a stuck command here can't block the machine's own firewall.
 */
export function environmentIn(namespace: string): NodeJS.ProcessEnv {
  return { ...process.env, XTABLES_LOCKFILE: lockFile(namespace) };
}

export function lockFile(namespace: string): string {
  return `/run/sluice-xtables-${namespace}.lock`;
}

/** Runs a command in a namespace; throws with the command's own words unless it ends with 0. Returns stdout. */
export function execIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const [ip = "", ...rest] = commandIn(namespace, [command, ...args]);
  return runCommand(ip, rest, { env: environmentIn(namespace), ...options });
}

/** As `execIn`, but the exit code is the caller's to judge. */
export function tryExecIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [ip = "", ...rest] = commandIn(namespace, [command, ...args]);
  return tryCommand(ip, rest, { env: environmentIn(namespace), ...options });
}

/** Lines for `ip -batch` (as those of links.ts), all in one process. Stops at the first that fails, and throws. */
export async function configure(namespace: string, lines: readonly string[]): Promise<void> {
  await runCommand("ip", ["-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

export async function createNamespace(name: string): Promise<void> {
  await runCommand("ip", ["netns", "add", name]);
}

/** Removes a namespace and ends what still runs in it. One that isn't there is no error. */
export async function deleteNamespace(name: string): Promise<void> {
  const { code, stdout } = await tryCommand("ip", ["netns", "pids", name]);
  if (code === 0) for (const pid of stdout.split("\n").filter(Boolean)) killIfThere(Number(pid));
  const removed = await tryCommand("ip", ["netns", "delete", name]);
  if (removed.code !== 0 && !removed.stderr.includes("No such file")) {
    throw new Error(`namespace ${name} could not be removed: ${removed.stderr.trim()}`);
  }
  await rm(lockFile(name), { force: true });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended by itself between the list and now
  }
}

export async function listNamespaces(): Promise<string[]> {
  const listed = await runCommand("ip", ["netns", "list"]);
  return listed
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter(Boolean);
}

/** Kernel settings of one namespace, as { "net.ipv4.ip_forward": 1 }. */
export async function setSysctls(
  namespace: string,
  settings: Readonly<Record<string, number>>,
): Promise<void> {
  const assignments = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  await execIn(namespace, "sysctl", ["-q", "-w", ...assignments]);
}
