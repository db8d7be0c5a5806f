import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildControl } from "@sluice/infra/build/build-control";
import { startLab } from "@sluice/infra/lab/start-lab";
import { listNamespaces } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { expect, test } from "vitest";

/** Below the minute that a start gives its agents: these never come. */
const AT_ONCE_MS = 40_000;
/** what a start may take on a busy machine, before there is anything to interrupt */
const START_MS = 100_000;
const programs = {
  controlProgram: await buildControl(),
  agentProgram: join(import.meta.dirname, "agent-that-never-enrols.ts"),
};

test.each(["namespaces", "postgres and nats", "control", "agents"])(
  "a lab that is interrupted at its %s ends at once, with its reason, and leaves nothing",
  async (stage) => {
    const prefix = `sli${process.pid}-`;
    const folder = join(tmpdir(), `sluice-interrupted-${process.pid}`);
    const before = children();
    const interrupted = new AbortController();
    const starting = startLab({
      folder,
      prefix,
      servers: 1,
      ...programs,
      signal: interrupted.signal,
      progress: (what) => what === stage && interrupted.abort(new Error("interrupted")),
    });
    await expect(starting).rejects.toThrow("interrupted");
    expect((await listNamespaces()).filter((name) => name.startsWith(prefix))).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    await waitUntil("the end of what was started", 30_000, () =>
      children().every((pid) => before.includes(pid)),
    );
  },
  AT_ONCE_MS,
);

/** A process that holds a lab as `npm run lab` does, but under names of its own. */
const script = (prefix: string, folder: string) => `
  import { startLab } from "@sluice/infra/lab/start-lab";
  import { interruption } from "@sluice/infra/process/interruption";
  const signal = interruption();
  const options = ${JSON.stringify({ prefix, folder, servers: 1, ...programs })};
  await startLab({ ...options, signal, progress: console.log }).catch((error) => console.log(error.message));`;

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s ends a process whose lab is still starting, and what it started with it",
  async (signal) => {
    const prefix = `slj${process.pid}-`;
    const folder = join(tmpdir(), `sluice-interrupted-${process.pid}-${signal}`);
    const child = spawn(process.execPath, ["--input-type=module", "-e", script(prefix, folder)], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    const exited = once(child, "exit");
    try {
      // said once the start waits for its enrolment
      await waitUntil("an agent", START_MS, () =>
        readFileSync(join(folder, "server-1.log"), "utf8").includes("here"),
      );
    } catch (error) {
      child.kill();
      await exited; // its names are those of the next case
      throw error;
    }
    child.kill(signal);
    expect(await exited).toEqual([0, null]);
    expect(said).toContain("interrupted");
    expect((await listNamespaces()).filter((name) => name.startsWith(prefix))).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  },
  START_MS + AT_ONCE_MS,
);

function children(): string[] {
  const path = `/proc/${process.pid}/task/${process.pid}/children`;
  return readFileSync(path, "utf8").split(" ").filter(Boolean);
}
