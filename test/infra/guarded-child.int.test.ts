import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { test } from "vitest";

/** A process that starts both servers, tells where they are, and waits. */
const script = `
  import { startPostgres } from "@sluice/infra/fixtures/postgres";
  import { startNats } from "@sluice/infra/fixtures/nats";
  import { readFileSync } from "node:fs";
  const postgres = await startPostgres({ own: true });
  const nats = await startNats({ own: true });
  const children = readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim().split(" ").map(Number);
  console.log(JSON.stringify({ children, socketDir: postgres.socketDir }));
  setInterval(() => {}, 1000);`;

test.each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
  "servers and their folders are gone after their starter ended by %s",
  async (signal) => {
    const starter = spawn(process.execPath, ["--input-type=module", "-e", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, DOCKER_HOST: "unix:///nonexistent" }, // containers are cleaned up by testcontainers
    });
    const [line] = await once(createInterface({ input: starter.stdout }), "line");
    const { children, socketDir } = JSON.parse(line);
    starter.kill(signal);
    await once(starter, "exit");
    await waitUntil("the end of all children", 30_000, () => children.every((pid: number) => !isAlive(pid)));
    await waitUntil("no folder left", 30_000, () => !existsSync(socketDir));
  },
);

/** A dead child stays listed as a zombie until whoever inherited it collects it. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
