import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters, styleText } from "node:util";
import type { Context } from "@sluice/cli/context";
import { startGuarded } from "../process/guarded-child.ts";

/**
 * Tells the story as it happens: what is typed, what comes back, what is claimed and what was measured. A claim that
 * doesn't hold is said and remembered; the story goes on, and fails at its end.
 */
export interface Narrator {
  chapter(title: string): void;
  note(text: string): void;
  /** Runs the real `sluice` and shows it as a person would see it. */
  sluice(...args: string[]): Promise<{ code: number; out: string }>;
  /** The same, with something on its stdin. */
  sluiceWithInput(input: string, ...args: string[]): Promise<{ code: number; out: string }>;
  /** What should be so, whether it was, and what was measured. */
  claim(what: string, holds: boolean, measured: string): void;
  /** claims that did not hold */
  readonly broken: readonly string[];
  readonly claims: number;
}

const cli = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url));

export function createNarrator(context: Context, out: NodeJS.WriteStream): Narrator {
  const broken: string[] = [];
  let claims = 0;
  const line = (text: string) => void out.write(`${text}\n`);
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    styleText(style, text, { stream: out });

  async function run(args: readonly string[], input: string): Promise<{ code: number; out: string }> {
    line(paint("cyan", `$ sluice ${args.map(quoted).join(" ")}`));
    const child = startGuarded([process.execPath, cli, ...args], {
      cwd: process.cwd(),
      env: {
        ...process.env,
        SLUICE_URL: context.url,
        SLUICE_TOKEN: context.token,
        ...(out.isTTY ? { FORCE_COLOR: "1" } : {}),
      },
    });
    child.stdin.end(input);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      out.write(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => out.write(chunk));
    const [{ code }] = await Promise.all([
      child.exited,
      once(child.stdout, "close"),
      once(child.stderr, "close"),
    ]);
    return { code: code ?? 1, out: stripVTControlCharacters(text) };
  }

  return {
    broken,
    get claims() {
      return claims;
    },
    chapter(title) {
      line(`\n${paint("bold", `── ${title} `.padEnd(100, "─"))}`);
    },
    note: (text) => line(paint("dim", `   ${text}`)),
    sluice: (...args) => run(args, ""),
    sluiceWithInput: (input, ...args) => run(args, input),
    claim(what, holds, measured) {
      claims += 1;
      if (!holds) broken.push(`${what} (measured: ${measured})`);
      const mark = holds ? paint("green", "✓") : paint("red", "✗");
      line(` ${mark} ${what}: ${paint("bold", measured)}`);
    },
  };
}

function quoted(word: string): string {
  return /[^\w@%+=:,./-]/.test(word) ? `'${word}'` : word;
}
