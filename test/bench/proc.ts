import { readdir, readFile } from "node:fs/promises";

/** What /proc says of processes. */
export interface Usage {
  rssMb: number;
  /** resident, and shared pages counted by share */
  pssMb: number;
  /** CPU time so far, of its ended children too; in steps of 10 ms */
  cpuMs: number;
}

const TICK_MS = 10;

/** Of several processes, added up. One that ended meanwhile counts as nothing. */
export async function usageOf(pids: readonly number[]): Promise<Usage> {
  const each = await Promise.all(pids.map(usageOfOne));
  const sum = (of: (usage: Usage) => number) => each.reduce((total, usage) => total + of(usage), 0);
  return { rssMb: sum((one) => one.rssMb), pssMb: sum((one) => one.pssMb), cpuMs: sum((one) => one.cpuMs) };
}

async function usageOfOne(pid: number): Promise<Usage> {
  const [rollup, stat] = await Promise.all([read(pid, "smaps_rollup"), read(pid, "stat")]);
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0);
  // utime, stime, cutime, cstime
  const ticks = fieldsOf(stat)
    .slice(11, 15)
    .reduce((total, field) => total + Number(field), 0);
  return { rssMb: kib("Rss") / 1024, pssMb: kib("Pss") / 1024, cpuMs: ticks * TICK_MS };
}

/** All processes below one. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = fieldsOf(await read(Number(name), "stat"))[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const found = [pid];
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child);
  return found.slice(1);
}

/** The flags that a Node process was started with. */
export async function nodeFlagsOf(pid: number): Promise<string[]> {
  const words = (await read(pid, "cmdline")).split("\0").slice(1);
  const program = words.findIndex((word) => !word.startsWith("-"));
  return words.slice(0, Math.max(0, program));
}

export async function commandOf(pid: number): Promise<string> {
  return (await read(pid, "comm")).trim();
}

/** Fields after the name, which may hold spaces: state, parent, … */
function fieldsOf(stat: string): string[] {
  return stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function read(pid: number, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
}
