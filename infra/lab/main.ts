import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { buildAgent } from "../build/build-agent.ts";
import { waitUntil } from "../process/wait-until.ts";
import { findRunningLab, publishLab, RUN_FOLDER, withdrawLab } from "./lab-file.ts";
import { startLab } from "./start-lab.ts";

const READY_MS = 120_000;
const LOG_FILE = join(RUN_FOLDER, "lab.log");

const program = new Command("npm run lab --")
  .description(
    "Four servers as network namespaces, each with the real agent; control, NATS and Postgres beside them.",
  )
  .option("--servers <n>", "how many servers", (text) => Number.parseInt(text, 10), 4)
  .option("--detach", "return when it is ready; end it with --down")
  .option("--down", "end a lab that was started with --detach")
  .parse();

const options = program.opts<{ servers: number; detach?: boolean; down?: boolean }>();
if (options.down) await down();
else if (options.detach) await detach();
else await runHere();

async function runHere(): Promise<void> {
  await refuseSecond();
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => stopped.resolve());
  const lab = await startLab({
    folder: join(RUN_FOLDER, "lab"),
    prefix: "",
    servers: options.servers,
    agentProgram: await buildAgent(),
    progress: (what) => say(`starting ${what}`),
  });
  try {
    await publishLab(lab.context);
    say(`ready: ${lab.agents.map(({ server }) => server).join(", ")}`);
    say("in another terminal, from this checkout:");
    say("  npx sluice server ls");
    say("  ip netns exec server-1 iptables -S");
    say("Ctrl-C ends it and leaves nothing behind");
    await stopped.promise;
    say("stopping");
  } finally {
    await withdrawLab();
    await lab.stop();
  }
}

/** Starts the same in a session of its own and waits until it says that it is ready. */
async function detach(): Promise<void> {
  await refuseSecond();
  await mkdir(RUN_FOLDER, { recursive: true });
  const log = openSync(LOG_FILE, "w", 0o600);
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, "--servers", String(options.servers)], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  let exited = false;
  child.once("exit", () => {
    exited = true;
  });
  await waitUntil("the lab", READY_MS, async () => exited || (await findRunningLab()) !== undefined);
  if (exited) {
    process.stderr.write(await readFile(LOG_FILE, "utf8"));
    process.exit(1);
  }
  child.unref();
  say("ready; npx sluice … talks to it, npm run lab -- --down ends it");
}

async function down(): Promise<void> {
  const running = await findRunningLab();
  if (running === undefined) {
    say("no lab runs from this checkout");
    return;
  }
  process.kill(running.pid, "SIGTERM");
  await waitUntil("the end of the lab", READY_MS, async () => !isAlive(running.pid));
  say("the lab is gone");
}

async function refuseSecond(): Promise<void> {
  if ((await findRunningLab()) === undefined) return;
  say("a lab runs from this checkout already; npm run lab -- --down ends it");
  process.exit(2);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function say(text: string): void {
  process.stderr.write(`lab: ${text}\n`);
}
