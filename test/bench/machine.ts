import { cpus, loadavg, release, type as systemType, totalmem } from "node:os";

/** What the figures were measured on; the load is that of the last minute, before the first benchmark. */
export interface Machine {
  at: string;
  kernel: string;
  cpu: string;
  cores: number;
  memoryGb: number;
  node: string;
  load: number;
}

export function describeMachine(): Machine {
  return {
    at: new Date().toISOString(),
    kernel: `${systemType()} ${release()}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load: loadavg()[0] ?? 0,
  };
}
