import { parseDurationMs } from "@sluice/proto/base/units";
import { type Command, InvalidArgumentError } from "commander";
import { type Client, createClient } from "./client.ts";
import { findContext } from "./context.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failure.ts";
import { createTerminal, type Terminal } from "./terminal.ts";

/** What every command's action gets. */
export interface Invocation {
  /** made when it is first asked for: what needs no control runs without one */
  readonly client: Client;
  terminal: Terminal;
  /** aborted by Ctrl-C */
  signal: AbortSignal;
}

type GlobalOptions = { json?: boolean; control?: string; token?: string };

/**
 * Gives a command its action: finds control, runs, prints what was thrown, sets the exit code. With `--json` the
 * action's result is printed as one line of JSON, else it prints for people itself.
 */
export function action<Arguments extends unknown[]>(
  command: Command,
  run: (invocation: Invocation, ...given: Arguments) => Promise<ExitCode | undefined>,
): void {
  command.action(async (...given: unknown[]) => {
    const options: GlobalOptions = command.optsWithGlobals();
    const terminal = createTerminal({ out: process.stdout, err: process.stderr }, options.json === true);
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    try {
      const sources = { url: options.control, token: options.token, env: process.env, cwd: process.cwd() };
      let client: Client | undefined;
      const invocation: Invocation = {
        get client() {
          client ??= createClient(findContext(sources));
          return client;
        },
        terminal,
        signal: stop.signal,
      };
      const code = await run(invocation, ...(given.slice(0, -1) as Arguments));
      process.exitCode = code ?? EXIT.done;
    } catch (error) {
      process.exitCode = reportFailure(terminal, error);
    }
  });
}

/** Prints a result: as it is with `--json`, else as the lines for people. */
export function print(terminal: Terminal, view: unknown, lines: () => readonly string[]): void {
  if (terminal.json) terminal.out(JSON.stringify(view));
  else for (const line of lines()) terminal.out(line);
}

export function withReason(command: Command): Command {
  return command.option("--reason <text>", "why: kept with the audit history", "");
}

export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

export function durationArgument(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError("a duration such as 90s, 30m, 1h or 2d");
  return ms;
}

export function revisionArgument(text: string): number {
  const revision = Number(text);
  if (!Number.isInteger(revision) || revision < 1) throw new InvalidArgumentError("a revision: 1, 2, 3 …");
  return revision;
}

export function countArgument(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("a number from 1");
  return count;
}

/** Any time that JavaScript reads, or a duration ago (`2h`). Gives ISO. */
export function timeArgument(text: string): string {
  const agoMs = parseDurationMs(text);
  const time = agoMs === undefined ? new Date(text) : new Date(Date.now() - agoMs);
  if (Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError("a time such as 2026-03-01T14:02:00Z, or how long ago: 2h");
  }
  return time.toISOString();
}

/** `key=value` pairs, and `key-` to take one away. */
export function labelArguments(words: readonly string[]): { set: Record<string, string>; unset: string[] } {
  const set: Record<string, string> = {};
  const unset: string[] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals > 0) set[word.slice(0, equals)] = word.slice(equals + 1);
    else if (word.endsWith("-") && word.length > 1) unset.push(word.slice(0, -1));
    else throw new InvalidArgumentError(`'${word}' is neither key=value nor key-`);
  }
  return { set, unset };
}
