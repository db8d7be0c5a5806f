import type { Namespace } from "./namespace.ts";
import { type ProcessOptions, runProcess, spawnProcess } from "./process.ts";

/** A namespace that `ip netns add` made: a server of the lab, seen from outside it. */
export function namedNamespace(netns: string, options: ProcessOptions = {}): Namespace {
  const inside = (command: string, args: readonly string[]) => ["netns", "exec", netns, command, ...args];
  return {
    name: netns,
    run: (command, args, run) => runProcess("ip", inside(command, args), options, run),
    async readNet(file, onOutput) {
      const { code } = await runProcess("ip", inside("cat", [`/proc/net/${file}`]), options, { onOutput });
      return code === 0;
    },
    spawn: (command, args) => spawnProcess("ip", inside(command, args), options),
  };
}
