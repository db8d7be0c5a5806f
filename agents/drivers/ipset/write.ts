import { setTimeout as sleep } from "node:timers/promises";
import { SluiceError } from "@sluice/proto/base/errors";
import { createFeed, type Feed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";
import { type Script, ScriptRefused } from "../driver.ts";

/** from here on a `restore` is quicker: it takes about 5 ms to start, and then 2 µs a line where the fed child takes 5 */
export const FED_LINES_MAX = 2_000;
const IN_USE_TRIES = 20;
const IN_USE_WAIT_MS = 100;
const RESTORE_TIMEOUT_MS = 30_000;
/** a million entries, some 30 million characters, load in 6 s; five times that, on top */
const RESTORE_TIMEOUT_PER_CHARACTER_MS = 0.001;
/** of lines that are made on the way */
const RESTORE_MANY_TIMEOUT_MS = 180_000;

/**
 * `ipset -` executes line by line and goes on after an error, so it is given only what may be done in any part: adds
 * and dels, and single destroys. Its mark is a set type that doesn't exist: the refusal repeats the name, on the same
 * stream as the errors, and the kernel isn't asked.
 *
 * It remembers the type of every set it has seen, and after an error its answers can't be relied on: it is retired
 * after either a `create` or `destroy`, or a refusal.
 */
export function createIpsetFeed(at: Namespace): Feed {
  return createFeed(at, {
    command: "ipset",
    args: ["-"],
    mark: (n) => `create sluice sluice:mark-${n}\n`,
    isMark: (line, n) => line.includes(`typename 'sluice:mark-${n}'`),
    refusesBy: "stderr",
  });
}

export async function writeIpset(at: Namespace, feed: Feed, script: Script): Promise<void> {
  const { text, more } = script;
  const few = more === undefined && (isFew(text) || text.startsWith("destroy ")) ? linesOf(text) : undefined;
  if (few?.every((line) => line.startsWith("destroy "))) return destroyEach(feed, script, few);
  if (few?.every((line) => /^(add|del) -exist /.test(line))) {
    const fed = await feed.send(text);
    if (fed.ok) return;
    // it doesn't name the line; the same again by `restore`, which does, or which finds nothing wrong
    await feed.retire();
  }
  return restore(at, feed, script);
}

/** No more lines than the child is fed; a million aren't taken apart to be counted. */
function isFew(text: string): boolean {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1))
    if (++lines > FED_LINES_MAX) return false;
  return true;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

async function restore(at: Namespace, feed: Feed, script: Script): Promise<void> {
  const { text, more, end = "" } = script;
  const timeoutMs =
    RESTORE_TIMEOUT_MS +
    (more === undefined ? text.length * RESTORE_TIMEOUT_PER_CHARACTER_MS : RESTORE_MANY_TIMEOUT_MS);
  const input = more === undefined ? text : piecesOf(script);
  const { code, stderr, timedOut } = await at.run("ipset", ["restore"], { input, timeoutMs });
  if (/^(create|destroy) /m.test(text)) await feed.retire();
  if (code === 0) return;
  await destroyTemporaries(at, linesOf(text + end));
  if (timedOut) throw new SluiceError("UNAVAILABLE", `${script.what} in ${at.name}: ipset took too long`);
  throw refusal(script, stderr);
}

function* piecesOf({ text, more, end }: Script): Generator<string | Uint8Array> {
  yield text;
  if (more !== undefined) yield* more();
  if (end !== undefined) yield end;
}

/** The kernel lets go of a set some time after the rule that used it: "in use" is tried again for two seconds. */
async function destroyEach(feed: Feed, script: Script, lines: readonly string[]): Promise<void> {
  for (const [index, line] of lines.entries()) {
    for (let attempt = 1; ; attempt++) {
      const result = await feed.send(line);
      if (result.ok) break;
      await feed.retire();
      const said = result.lines.join("; ");
      if (/does not exist/.test(said)) break;
      if (!/in use/.test(said) || attempt === IN_USE_TRIES)
        throw new ScriptRefused(script, wordsOf(said), index);
      await sleep(IN_USE_WAIT_MS);
    }
  }
  await feed.retire();
}

/** `restore` isn't atomic: a temporary set that it filled before it was refused would stay. */
async function destroyTemporaries(at: Namespace, lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const temporary = /^swap (\S+) /.exec(line)?.[1];
    if (temporary !== undefined) await at.run("ipset", ["destroy", temporary]);
  }
}

function refusal(script: Script, stderr: string): ScriptRefused {
  const number = /Error in line (\d+):/.exec(stderr)?.[1];
  // an option that ipset doesn't know is refused without its line
  const unknown = /Unknown argument:? [`']?([^'`\s]+)/.exec(stderr)?.[1];
  const lines = script.text.split("\n");
  const byWord = unknown === undefined ? -1 : lines.findIndex((line) => line.split(" ").includes(unknown));
  const line = number !== undefined ? Number(number) - 1 : byWord >= 0 ? byWord : undefined;
  return new ScriptRefused(script, wordsOf(stderr), line);
}

function wordsOf(said: string): string {
  const words = said
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("Try `"))
    .map((line) => line.replace(/^ipset v[\d.]+: (?:Error in line \d+: )?/, ""));
  return words.join("; ") || "ipset refused without a word";
}
