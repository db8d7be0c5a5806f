import { SluiceError } from "@sluice/proto/base/errors";
import type { Namespace } from "../../exec/namespace.ts";
import type { Script } from "../driver.ts";
import { ScriptRefused } from "../driver.ts";

/**
 * One script, one process, which stops at the first line that is refused: then everything before that line is done and
 * nothing after it. A batch is never atomic, so its lines are ordered such that stopping anywhere leaves a tree that
 * still passes packets.
 *
 * Not a long-lived child: under `-force` tc goes on after a refusal, and without it the child ends anyway.
 */
const TIMEOUT_MS = 15_000;

export async function writeTc(at: Namespace, script: Script): Promise<void> {
  const { code, stderr, timedOut } = await at.run(script.tool, ["-batch", "-"], {
    input: script.text,
    timeoutMs: TIMEOUT_MS,
  });
  if (timedOut)
    throw new SluiceError(
      "UNAVAILABLE",
      `${script.what} in ${at.name}: no answer in time from ${script.tool}`,
      {
        cure: "read the kernel before the next write",
      },
    );
  if (code === 0) return;
  const line = failedLine(stderr) ?? (await unparsedLine(at, script));
  throw new ScriptRefused(script, reasonOf(stderr) || `${script.tool} ended with code ${code}`, line);
}

/** tc's own words: without its usage, and without what it says of every refusal. */
export function reasonOf(stderr: string): string {
  const said: string[] = [];
  for (const line of stderr.split("\n")) {
    if (/^(Usage:|Command failed |We have an error talking to the kernel)/.test(line)) break;
    if (line.trim() !== "") said.push(line.trim());
  }
  return said.join("; ");
}

/** `Command failed -:3` → 2 */
export function failedLine(stderr: string): number | undefined {
  const match = /^Command failed -:(\d+)$/m.exec(stderr);
  return match === null ? undefined : Number(match[1]) - 1;
}

/**
 * Some words make tc exit in mid-batch without naming the line. They are found by reading the whole script once more
 * for a device that isn't there: tc parses a line before it looks for the device, so nothing is written, every line it
 * understands is numbered as failed, and the line after the last of them is the one at fault.
 */
async function unparsedLine(at: Namespace, script: Script): Promise<number | undefined> {
  if (script.tool !== "tc") return undefined;
  const lines = script.text.split("\n");
  const input = lines.map((line) => line.replace(/ dev \S+/, " dev sl-nowhere")).join("\n");
  const { stderr, timedOut } = await at.run("tc", ["-force", "-batch", "-"], {
    input,
    timeoutMs: TIMEOUT_MS,
  });
  if (timedOut) return undefined;
  const numbers = [...stderr.matchAll(/^Command failed -:(\d+)$/gm)].map((match) => Number(match[1]));
  const next = numbers.at(-1) ?? 0;
  return next < lines.length && lines[next] !== "" ? next : undefined;
}
