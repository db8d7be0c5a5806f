import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context } from "@sluice/cli/context";
import { SluiceError } from "@sluice/proto/base/errors";
import { z } from "zod";
import { startTimeOf } from "../process/start-time.ts";

/** The checkout's own folder for what runs: `sluice` finds a running lab here. Not in git. */
export const RUN_FOLDER = fileURLToPath(new URL("../../.sluice", import.meta.url));

const CONTEXT_FILE = join(RUN_FOLDER, "context.json");
const LAB_FILE = join(RUN_FOLDER, "lab.json");

const runningLab = z.strictObject({ pid: z.int(), startTime: z.string(), ready: z.boolean() });
export type RunningLab = z.infer<typeof runningLab>;

/** Says that this process has a lab, from its start on: who it is for `--down`, and that there is room for no other. */
export async function claimLab(): Promise<void> {
  const other = await findLab();
  if (other !== undefined)
    throw new SluiceError("CONFLICT", "a lab runs from this checkout already", {
      cure: "npm run lab -- --down ends it",
    });
  await mkdir(RUN_FOLDER, { recursive: true });
  await writeLab(false);
}

/** Writes where the lab is for `sluice`, and that it is ready. */
export async function publishLab(context: Context): Promise<void> {
  await writeFile(CONTEXT_FILE, JSON.stringify(context), { mode: 0o600 });
  await writeLab(true);
}

export async function withdrawLab(): Promise<void> {
  await rm(CONTEXT_FILE, { force: true });
  await rm(LAB_FILE, { force: true });
  await removeEmptyRunFolder();
}

export async function removeEmptyRunFolder(): Promise<void> {
  await rmdir(RUN_FOLDER).catch(() => undefined); // not empty: a log, or another lab's
}

/** The lab of this checkout; undefined where there is none. A pid that is somebody else's by now is not ours. */
export async function findLab(): Promise<RunningLab | undefined> {
  const text = await readFile(LAB_FILE, "utf8").catch(() => undefined);
  const lab = text === undefined ? undefined : runningLab.safeParse(JSON.parse(text));
  if (!lab?.success) return undefined;
  return startTimeOf(lab.data.pid) === lab.data.startTime ? lab.data : undefined;
}

async function writeLab(ready: boolean): Promise<void> {
  const lab: RunningLab = { pid: process.pid, startTime: startTimeOf(process.pid) ?? "", ready };
  await writeFile(LAB_FILE, JSON.stringify(lab), { mode: 0o600 });
}
