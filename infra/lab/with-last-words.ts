import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { messageOf } from "@sluice/proto/base/errors";

const LINES = 5;

/** Adds to a failure what the processes concerned said last: their logs go with the lab. */
export async function withLastWords<T>(logFiles: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const words = await Promise.all(logFiles.map(lastWords));
    throw new Error([messageOf(cause), ...words].join("\n"), { cause });
  }
}

async function lastWords(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  const lines = text.trimEnd().split("\n").slice(-LINES);
  return `${basename(path)}:\n  ${lines.join("\n  ")}`;
}
