import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import type { UndoFolder, UndoOutcome } from "./undo-folder.ts";

/**
 * Starts the undo runner and waits for it.
 *
 * 1. It is never a child that dies with the agent: a systemd unit of its own where systemd is in charge of this network
 *    namespace, else a session of its own.
 * 2. `start` returns when the runner itself has said that it watches. Without that, nothing may be written.
 * 3. The agent's own undo is the same runner told not to wait: one process undoes, whoever asks, and it goes on if the
 *    agent dies meanwhile.
 */
export interface Runner {
  start(): Promise<void>;
  /** Undoes now, sparing the agent; resolves when it is done. */
  revert(): Promise<UndoOutcome>;
  /** Resolves when no runner is left; one that has nothing to do ends by itself. */
  ended(): Promise<void>;
}

export interface RunnerOptions {
  folder: UndoFolder;
  /** what goes before `sh undo.sh`, such as `ip netns exec NAME`: where the agent isn't in the namespace it serves */
  prefix?: readonly string[] | undefined;
  /** beside PATH */
  env?: Readonly<Record<string, string>> | undefined;
}

/** waiting costs nothing: nothing is written until it watches */
const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 5_000;
const REVERT_TIMEOUT_MS = 120_000;
const POLL_MS = 5;

export function createRunner({ folder, prefix = [], env = {} }: RunnerOptions): Runner {
  function launch(mode: "watch" | "now"): void {
    const command = [...prefix, "/bin/sh", `${folder.path}/undo.sh`, mode, folder.path];
    const variables = { PATH: process.env.PATH ?? "", ...env };
    const unit = prefix.length === 0 && isSystemdInCharge() ? systemdUnit(variables) : [];
    const [program = "", ...args] = [...unit, ...command];
    const log = openSync(folder.logFile, "a", 0o600);
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: variables,
      cwd: "/",
    });
    child.on("error", () => {}); // then it never says that it watches
    child.unref();
    closeSync(log);
  }

  return {
    async start() {
      launch("watch");
      const watches = await until(START_TIMEOUT_MS, () => folder.runner() !== undefined);
      if (!watches)
        throw new SluiceError("UNAVAILABLE", "the undo runner could not be started: nothing was written");
    },
    async revert() {
      await folder.order(0, "spare");
      const undone = () => folder.outcome() !== "pending";
      const died = () => folder.runner() === undefined;
      await until(REVERT_TIMEOUT_MS, () => undone() || died());
      if (!undone()) {
        launch("now");
        await until(REVERT_TIMEOUT_MS, undone);
      }
      return folder.outcome();
    },
    async ended() {
      await until(END_TIMEOUT_MS, () => folder.runner() === undefined);
    },
  };
}

async function until(timeoutMs: number, holds: () => boolean): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > end) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** systemd would start the unit in its own network namespace, so it must be ours too. */
function isSystemdInCharge(): boolean {
  try {
    return (
      readFileSync("/proc/1/comm", "utf8").trim() === "systemd" &&
      readlinkSync("/proc/1/ns/net") === readlinkSync("/proc/self/ns/net")
    );
  } catch {
    return false;
  }
}

function systemdUnit(env: Readonly<Record<string, string>>): string[] {
  const unit = `sluice-undo-${process.pid}-${Date.now()}`;
  const variables = Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`);
  return ["systemd-run", "--quiet", "--collect", `--unit=${unit}`, ...variables, "--"];
}
