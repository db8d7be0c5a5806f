import type { Namespace } from "../exec/namespace.ts";

/** A namespace that remembers which long-lived children were started through it, so that their writes are known as ours. */
export interface WatchedNamespace extends Namespace {
  isOwnChild(pid: number): boolean;
}

const REMEMBERED = 200;

export function rememberChildren(at: Namespace): WatchedNamespace {
  const pids: number[] = [];
  return {
    name: at.name,
    run: (command, args, options) => at.run(command, args, options),
    readNet: (file, heard) => at.readNet(file, heard),
    spawn(command, args) {
      const child = at.spawn(command, args);
      pids.push(child.pid);
      if (pids.length > REMEMBERED) pids.shift();
      return child;
    },
    isOwnChild: (pid) => pids.includes(pid),
  };
}
