import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandIn } from "@sluice/infra/net/namespace";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { ChildOptions } from "./agent-child.ts";
import type { TestServer } from "./server.ts";

const PROGRAM = fileURLToPath(new URL("./agent-child.ts", import.meta.url));

/** An agent as a process of its own (agent-child.ts), where it hurts. */
export interface AgentChild {
  readonly child: GuardedChild;
  readonly lines: readonly string[];
  reached(line: string): Promise<void>;
  /** lets it go on from where it waits */
  go(): void;
  /** the processes it has started, by the mark in their environment */
  children(): number[];
}

export function startAgentChild(
  server: Pick<TestServer, "namespace" | "env" | "folder">,
  options: Omit<ChildOptions, "folder">,
): AgentChild {
  const argument = JSON.stringify({ folder: `${server.folder}/state`, ...options } satisfies ChildOptions);
  const child = startGuarded(commandIn(server.namespace, [process.execPath, PROGRAM, argument]), {
    env: { ...process.env, ...server.env },
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  child.stderr.on("data", (text) => lines.push(String(text)));
  const mark = () => lines.find((line) => line.startsWith("mark "))?.slice(5) ?? "none";
  return {
    child,
    lines,
    async reached(line) {
      const ended = () => !child.isRunning();
      await waitUntil(line, 60_000, () => lines.some((one) => one.includes(line)) || ended());
      if (!lines.some((one) => one.includes(line)))
        throw new Error(`it ended before "${line}": ${lines.slice(-5).join(" | ")}`);
    },
    go: () => void child.stdin.write("go\n"),
    children: () => processesWith(`SLUICE_AGENT_RUN=${mark()}`).filter((pid) => pid !== child.pid),
  };
}

function processesWith(variable: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readOrNothing(`/proc/${pid}/environ`).split("\0").includes(variable))
    .map(Number);
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it is gone
  }
}
