/**
 * Runs in the stock kernel and starts what the host orders. Of modules only what Node brings, and the host's word is
 * taken as it comes: it is the same checkout, and zod alone would double the time to boot.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { REPORT_MARK, TELL_BYTES } from "./flow.ts";
import type { Order, Report } from "./guest-protocol.ts";
import { splitLines } from "./split-lines.ts";

const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
  HOME: "/root",
};
const children = new Map<number, ChildProcessWithoutNullStreams>();

function tell(report: Report): void {
  let rest = Buffer.from(`${REPORT_MARK}${JSON.stringify(report)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
}

function obey(order: Order): void {
  switch (order.do) {
    case "start":
      start(order.id, order.command, order.args);
      break;
    case "write":
      children.get(order.id)?.stdin.write(order.text);
      break;
    case "end":
      children.get(order.id)?.stdin.end();
      break;
    case "kill":
      children.get(order.id)?.kill("SIGKILL");
      break;
    case "power off":
      process.exit(0);
  }
}

function start(id: number, command: string, args: readonly string[]): void {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: ENVIRONMENT, cwd: "/" });
  children.set(id, child);
  child.stdin.on("error", () => {}); // one that ends without reading
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => tell({ is: "said", id, stream, text }));
  child.on("spawn", () => tell({ is: "started", id, pid: child.pid ?? 0 }));
  child.on("error", ({ message }) => {
    if (child.pid === undefined) tell({ is: "unstartable", id, reason: message });
  });
  child.on("close", (code) => {
    children.delete(id);
    if (child.pid !== undefined) tell({ is: "ended", id, code });
  });
}

let untold = 0;
process.stdin.on("data", (text: string) => {
  untold += Buffer.byteLength(text);
  if (untold < TELL_BYTES) return;
  tell({ is: "taken", bytes: untold });
  untold = 0;
});
splitLines(process.stdin, (line) => obey(JSON.parse(line)));
tell({ is: "ready" });
