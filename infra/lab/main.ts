import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "@sluice/proto/base/errors";
import { Command, InvalidArgumentError } from "commander";
import { untilAborted } from "../process/abort.ts";
import { interruption } from "../process/interruption.ts";
import { waitUntil } from "../process/wait-until.ts";
import { holdLab } from "./hold-lab.ts";
import { findLab, RUN_FOLDER, removeEmptyRunFolder } from "./lab-file.ts";
import type { Lab } from "./start-lab.ts";

const READY_MS = 120_000;
const LOG_FILE = join(RUN_FOLDER, "lab.log");

const program = new Command("npm run lab --")
  .description(
    "Four servers as network namespaces, each with the real agent; control, NATS and Postgres beside them.",
  )
  .option("--servers <n>", "how many servers", count, 4)
  .option("--detach", "return when it is ready; end it with --down")
  .option("--down", "end a lab of this checkout, also one that is still starting")
  .parse();

const options = program.opts<{ servers: number; detach?: boolean; down?: boolean }>();
const act = options.down ? down : options.detach ? detach : runHere;
try {
  process.exit(await act());
} catch (error) {
  say(messageOf(error));
  process.exit(1);
}

function runHere(): Promise<number> {
  return holdLab({ servers: options.servers, progress: (what) => say(`starting ${what}`), say }, serve);
}

async function serve(lab: Lab, signal: AbortSignal): Promise<number> {
  say(`ready: ${lab.agents.map(({ server }) => server).join(", ")}`);
  say("in another terminal, from this checkout:");
  say("  npx sluice server ls");
  say("  ip netns exec server-1 iptables -S");
  say("Ctrl-C ends it and leaves nothing behind");
  await untilAborted(signal);
  return 0;
}

/** Starts the same in a session of its own and waits until it says that it is ready. */
async function detach(): Promise<number> {
  if ((await findLab()) !== undefined) return await runHere(); // which says why not
  await mkdir(RUN_FOLDER, { recursive: true });
  const log = openSync(LOG_FILE, "w", 0o600);
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, "--servers", String(options.servers)], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  const exited = once(child, "exit");
  const signal = interruption(() => say("stopping"));
  try {
    const isReady = async () => child.exitCode !== null || (await findLab())?.ready === true;
    await waitUntil("the lab", READY_MS, isReady, signal);
  } catch (error) {
    child.kill("SIGTERM");
    await exited;
    if (!signal.aborted) throw error;
    await removeLog();
    return 130;
  }
  if (child.exitCode !== null) {
    process.stderr.write(await readFile(LOG_FILE, "utf8"));
    return child.exitCode || 1;
  }
  say("ready; npx sluice … talks to it, npm run lab -- --down ends it");
  return 0;
}

async function down(): Promise<number> {
  const lab = await findLab();
  if (lab === undefined) {
    say("no lab runs from this checkout");
    return 0;
  }
  process.kill(lab.pid, "SIGTERM");
  await waitUntil("the end of the lab", READY_MS, async () => (await findLab()) === undefined);
  await removeLog();
  say("the lab is gone");
  return 0;
}

async function removeLog(): Promise<void> {
  await rm(LOG_FILE, { force: true });
  await removeEmptyRunFolder();
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("a count from 1 on");
  return value;
}

function say(text: string): void {
  process.stderr.write(`lab: ${text}\n`);
}
