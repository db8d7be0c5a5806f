import type { Namespace } from "./namespace.ts";
import { readProcNet } from "./proc-net.ts";
import { type ProcessOptions, runProcess, spawnProcess } from "./process.ts";

/** Where the agent itself runs. */
export function liveNamespace(options: ProcessOptions = {}): Namespace {
  return {
    name: "live",
    run: (command, args, run) => runProcess(command, args, options, run),
    readNet: (file, heard) => readProcNet(`/proc/net/${file}`, heard),
    spawn: (command, args) => spawnProcess(command, args, options),
  };
}
