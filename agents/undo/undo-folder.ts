import { existsSync, readFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder, writeDurably } from "../state/atomic-file.ts";
import { isAlive, type ProcessId } from "../state/process-id.ts";
import { writeFolder } from "./held-folder.ts";

/**
 * The folder that an agent and its undo runner share; `undo.sh` says what each file means. All of it is on the disk
 * before the first write of a change, and what is written later has its place already: a full disk refuses nothing.
 */
export interface UndoFolder {
  readonly path: string;
  /** Writes everything the runner needs; nothing is watched yet. */
  prepare(
    script: string,
    files: Readonly<Record<string, string>>,
    next: Readonly<Record<string, string>>,
    agent: AgentMark,
  ): Promise<void>;
  /** what the change leads to, as held-folder.ts takes it once it is confirmed */
  readonly next: string;
  /** When the runner is to act, in milliseconds since boot, and whether it may end the agent then. */
  order(dueMs: number, how: "kill" | "spare"): Promise<void>;
  /** From here on nothing is undone. */
  markConfirmed(): Promise<void>;
  isConfirmed(): boolean;
  outcome(): UndoOutcome;
  /** what the runner complains to; under systemd that is the journal */
  readonly logFile: string;
  /** the last thing it complained of */
  complaint(): string;
  /** the living runner */
  runner(): ProcessId | undefined;
  clear(): Promise<void>;
}

/** `none`: nothing was prepared */
export type UndoOutcome = "none" | "pending" | "reverted" | "partial";

export interface AgentMark extends ProcessId {
  /** value of SLUICE_AGENT_RUN in the environment of everything the agent starts */
  mark: string;
}

const NEVER_MS = 9_999_999_999_999;

export function undoFolder(path: string): UndoFolder {
  const file = (name: string) => join(path, name);

  return {
    path,
    next: file("next"),
    async prepare(script, files, next, agent) {
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { recursive: true, mode: 0o700 });
      await writeFolder(file("next"), next);
      const all = {
        ...files,
        "undo.sh": script,
        log: "",
        orders: orders(NEVER_MS, "kill"),
        outcome: "pending \n",
        runner: `${" ".repeat(39)}\n`,
        "confirmed.new": "confirmed\n",
        agent: `${agent.pid} ${agent.startTime} ${agent.mark}\n`,
      };
      await Promise.all(Object.entries(all).map(([name, text]) => writeDurably(file(name), text)));
      await syncFolder(path);
      await syncFolder(join(path, ".."));
    },
    order: (dueMs, how) => overwrite(file("orders"), orders(dueMs, how)),
    async markConfirmed() {
      await rename(file("confirmed.new"), file("confirmed"));
      await syncFolder(path);
    },
    logFile: file("log"),
    complaint: () => readText(file("log")).trim().split("\n").at(-1) ?? "",
    isConfirmed: () => existsSync(file("confirmed")),
    outcome() {
      const text = readText(file("outcome")).trim();
      return text === "reverted" || text === "partial" || text === "pending" ? text : "none";
    },
    runner() {
      const [pid, startTime] = readText(file("runner")).trim().split(" ");
      if (pid === undefined || startTime === undefined) return undefined;
      const runner = { pid: Number(pid), startTime };
      return isAlive(runner) ? runner : undefined;
    },
    clear: () => rm(path, { recursive: true, force: true }),
  };
}

/** Always as long as before, so that it can be overwritten in place. */
function orders(dueMs: number, how: "kill" | "spare"): string {
  const hundredths = String(Math.max(0, Math.round(dueMs / 10))).padStart(15, "0");
  return `${hundredths.slice(-15)} ${how.padEnd(5)}\n`;
}

async function overwrite(path: string, text: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.write(text, 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
