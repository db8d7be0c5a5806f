/**
 * One who wants a lock: `lock-racer.ts FOLDER`. Each line on stdin is done and answered by a line:
 * `try` → `won` or `refused`; `free` → `free`; `race N` → N times takes it, or is refused, and gives it back → `raced` and
 * how often it was won, or `two` if another had it meanwhile.
 */
import { closeSync, openSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { lockState, type StateLock } from "@sluice/agents/state/lock";
import { SluiceError } from "@sluice/proto/base/errors";

const [folder = ""] = process.argv.slice(2);
let lock: StateLock | undefined;

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [what, times] = line.split(" ");
  if (what === "try") {
    lock = tryLock();
    console.log(lock === undefined ? "refused" : "won");
  } else if (what === "free") {
    lock?.release();
    console.log("free");
  } else {
    console.log(race(Number(times)));
  }
}

function race(times: number): string {
  let won = 0;
  for (let n = 0; n < times; n += 1) {
    const got = tryLock();
    if (got === undefined) continue;
    won += 1;
    try {
      closeSync(openSync(`${folder}/one`, "wx"));
    } catch {
      return "two";
    }
    rmSync(`${folder}/one`);
    got.release();
  }
  return `raced ${won}`;
}

function tryLock(): StateLock | undefined {
  try {
    return lockState(folder);
  } catch (error) {
    if (error instanceof SluiceError && error.code === "CONFLICT") return undefined;
    throw error;
  }
}
