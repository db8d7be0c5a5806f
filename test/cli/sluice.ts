import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "@sluice/cli/context";
import { type CommandName, VIEWS } from "@sluice/cli/views";
import { buildCli } from "@sluice/infra/build/build-cli";
import { type ErrorView, errorView } from "@sluice/proto/api/error";
import { expect } from "vitest";
import { z } from "zod";

const LIMIT_MS = 110_000;
const errorLine = z.strictObject({ error: errorView });

export interface Ran {
  /** the signal's name where it didn't end by itself */
  code: number | string;
  stdout: string;
  stderr: string;
}

export interface Sluice extends AsyncDisposable {
  readonly folder: string;
  file(name: string, text: string): Promise<string>;
  run(words: readonly string[], more?: RunOptions): Promise<Ran>;
  /** Runs it with `--json`; its one line must be exactly the command's documented shape. */
  json<C extends CommandName>(
    command: C,
    words?: readonly string[],
    more?: RunOptions & { code?: number },
  ): Promise<z.infer<(typeof VIEWS)[C]>>;
  /** Runs it with `--json`, to be refused or to fail. */
  error(
    words: readonly string[],
    more?: RunOptions & { code?: number },
  ): Promise<ErrorView & { stderr: string }>;
}

export interface RunOptions {
  input?: string;
  token?: string;
  /** is given the running process */
  meanwhile?(child: { interrupt(): void; said(): string }): Promise<void>;
}

/** `sluice` as people and scripts run it: the program itself, in a folder of its own. */
export async function openSluice({ url, token }: Context): Promise<Sluice> {
  const program = await buildCli();
  const folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));

  async function run(words: readonly string[], { input, meanwhile, ...more }: RunOptions = {}): Promise<Ran> {
    const child = spawn(process.execPath, [program, ...words], {
      cwd: folder,
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
      env: { PATH: process.env.PATH, HOME: folder, SLUICE_URL: url, SLUICE_TOKEN: more.token ?? token },
    });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text;
      });
    const ended = new Promise<number | string>((resolve) =>
      child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown")),
    );
    child.stdin.on("error", () => {}); // a command that doesn't read its input
    child.stdin.end(input ?? "");
    try {
      await meanwhile?.({
        interrupt: () => void child.kill("SIGINT"),
        said: () => said.stdout + said.stderr,
      });
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    return { code: await ended, ...said };
  }

  return {
    folder,
    run,
    async file(name, text) {
      await writeFile(join(folder, name), text);
      return name;
    },
    async json(command, words = [], { code = 0, ...more } = {}) {
      const ran = await run([...command.split(" "), ...words, "--json"], more);
      expect(ran, ran.stderr).toMatchObject({ code, stdout: expect.stringMatching(/^.+\n$/) });
      return VIEWS[command].parse(JSON.parse(ran.stdout)) as z.infer<(typeof VIEWS)[typeof command]>;
    },
    async error(words, { code = 2, ...more } = {}) {
      const ran = await run(["--json", ...words], more);
      expect(ran, ran.stderr).toMatchObject({ code, stdout: expect.stringMatching(/^.+\n$/) });
      return { ...errorLine.parse(JSON.parse(ran.stdout)).error, stderr: ran.stderr };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
