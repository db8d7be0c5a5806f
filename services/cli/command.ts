import type { Command } from "commander";
import { askForReason } from "./ask-for-reason.ts";
import { type Client, createClient } from "./client.ts";
import { type Context, findContext } from "./context.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failure.ts";
import { createTerminal, type Terminal } from "./terminal.ts";

/** What every command's action gets. */
export interface Invocation {
  /** made when it is first asked for: what needs no control runs without one */
  readonly client: Client;
  /** where control is */
  readonly context: Context;
  terminal: Terminal;
  /** aborted by Ctrl-C. Whoever doesn't ask for it is ended by Ctrl-C at once, as any program */
  readonly signal: AbortSignal;
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
    try {
      const invocation = createInvocation(options, terminal);
      const words = given.slice(0, -1) as Arguments;
      const code = await run(invocation, ...words).catch(async (error: unknown) => {
        if (!(await askForReason(error, words.at(-1), terminal))) throw error;
        return await run(invocation, ...words);
      });
      process.exitCode = code ?? EXIT.done;
    } catch (error) {
      process.exitCode = reportFailure(terminal, error);
    }
  });
}

function createInvocation({ control, token }: GlobalOptions, terminal: Terminal): Invocation {
  const made: { context?: Context; client?: Client; signal?: AbortSignal } = {};
  return {
    terminal,
    get context() {
      made.context ??= findContext({ url: control, token, env: process.env, cwd: process.cwd() });
      return made.context;
    },
    get client() {
      made.client ??= createClient(this.context);
      return made.client;
    },
    get signal() {
      made.signal ??= untilInterrupted();
      return made.signal;
    },
  };
}

/** The second Ctrl-C ends the program at once. */
function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  return stop.signal;
}

/** Prints a result: as it is with `--json`, else as the lines for people. */
export function print(terminal: Terminal, view: unknown, lines: () => readonly string[]): void {
  if (terminal.json) terminal.out(JSON.stringify(view));
  else for (const line of lines()) terminal.out(line);
}

export function withReason(command: Command): Command {
  return command.option("--reason <text>", "why: kept with the audit history", "");
}

export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText("after", `\nExamples:\n${examples.map((one) => `  ${one}`).join("\n")}`);
}
