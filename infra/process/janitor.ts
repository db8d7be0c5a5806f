/**
 * Cleans up after us when we could not: a tiny shell that holds the read end of a pipe whose only write end
 * is ours. When we die, by whatever cause, the pipe closes and the shell removes what it was told about.
 * `release()` sends it home without removing anything.
 *
 * It runs in a session of its own, so a Ctrl-C at the terminal does not reach it before it has worked.
 */
import { spawn } from "node:child_process";
import { Socket } from "node:net";

export interface Belongings {
  /** files and folders */
  paths?: readonly string[];
  namespaces?: readonly string[];
}

export interface Janitor {
  release(): void;
}

// A directory may still be written to by a server that is shutting down, so removal is tried for a while.
const script = `
namespaces=$1; shift
read -r word && exit 0
for ns in $namespaces; do
  ip netns pids "$ns" 2>/dev/null | while read -r pid; do kill -9 "$pid" 2>/dev/null; done
  ip netns delete "$ns" 2>/dev/null
done
tries=0
for path in "$@"; do
  while [ -e "$path" ] && ! rm -rf -- "$path" 2>/dev/null && [ $tries -lt 600 ]; do
    tries=$((tries + 1)); sleep 0.1
  done
done
`;

export function cleanUpOnDeath(belongings: Belongings): Janitor {
  const child = spawn(
    "/bin/sh",
    ["-c", script, "sluice-janitor", (belongings.namespaces ?? []).join(" "), ...(belongings.paths ?? [])],
    { detached: true, stdio: ["pipe", "ignore", "ignore"], cwd: "/" },
  );
  child.unref();
  const { stdin } = child;
  if (stdin instanceof Socket) stdin.unref();
  stdin.on("error", () => {});
  return { release: () => stdin.end("released\n") };
}
