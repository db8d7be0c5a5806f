import { mkdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** A folder shown at a second place, within the mount namespace of one child only. */
export interface Bind {
  from: string;
  to: string;
}

/** Whether any user of the machine may walk to this path; a checkout in root's home is closed to others. */
export function isReachableByOthers(path: string): boolean {
  for (let folder = resolve(path); folder !== "/"; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
  }
  return true;
}

/** What must be bound below `underFolder` so that an unprivileged child reaches `path`; nothing if it can already. */
export function bindIfHidden(path: string, underFolder: string): Bind | undefined {
  if (isReachableByOthers(dirname(resolve(path)))) return undefined;
  const to = join(underFolder, basename(path));
  mkdirSync(to, { recursive: true });
  return { from: resolve(path), to };
}

const bindScript =
  'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"';

/** The command that runs `command` in a mount namespace of its own with these folders bound. */
export function withBinds(binds: readonly Bind[], command: readonly string[]): string[] {
  if (binds.length === 0) return [...command];
  const pairs = binds.flatMap(({ from, to }) => [from, to]);
  return ["unshare", "--mount", "/bin/sh", "-c", bindScript, "sh", ...pairs, "--", ...command];
}
