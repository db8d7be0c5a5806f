import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context } from "@sluice/cli/context";
import { z } from "zod";

/** The checkout's own folder for what runs: `sluice` finds a running lab here. Not in git. */
export const RUN_FOLDER = fileURLToPath(new URL("../../.sluice", import.meta.url));

const CONTEXT_FILE = join(RUN_FOLDER, "context.json");
const LAB_FILE = join(RUN_FOLDER, "lab.json");

const runningLab = z.strictObject({ pid: z.int(), startTime: z.string() });
export type RunningLab = z.infer<typeof runningLab>;

/** Writes where the lab is for `sluice`, and who it is for `--down`. */
export async function publishLab(context: Context): Promise<void> {
  await mkdir(dirname(CONTEXT_FILE), { recursive: true });
  await writeFile(CONTEXT_FILE, JSON.stringify(context), { mode: 0o600 });
  const startTime = await startTimeOf(process.pid);
  await writeFile(LAB_FILE, JSON.stringify({ pid: process.pid, startTime }), { mode: 0o600 });
}

export async function withdrawLab(): Promise<void> {
  await rm(CONTEXT_FILE, { force: true });
  await rm(LAB_FILE, { force: true });
}

/** The lab that runs from this checkout; undefined where none does. A pid that is somebody else's by now is not ours. */
export async function findRunningLab(): Promise<RunningLab | undefined> {
  const text = await readFile(LAB_FILE, "utf8").catch(() => undefined);
  const lab = text === undefined ? undefined : runningLab.safeParse(JSON.parse(text));
  if (!lab?.success) return undefined;
  return (await startTimeOf(lab.data.pid)) === lab.data.startTime ? lab.data : undefined;
}

/** Field 22 of /proc/PID/stat: with the pid it names one process for ever. Empty: there is none. */
async function startTimeOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
