import { fileURLToPath } from "node:url";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Sluice } from "./sluice.ts";

const main = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url));
const PATIENCE_MS = 60_000;

/**
 * Runs `sluice` as a person does who sits at a terminal: a pseudo-terminal of util-linux' script. Once it has asked, the
 * keys are pressed. What it wrote comes back as it stood on the screen.
 */
export async function atATerminal(
  { folder, url, token }: Pick<Sluice, "folder"> & { url: string; token: string },
  words: readonly string[],
  answer?: { asked: string; keys: string },
): Promise<{ code: number | null; screen: string }> {
  const line = [process.execPath, main, ...words].map((word) => `'${word}'`).join(" ");
  const child = startGuarded(["script", "--quiet", "--return", "--command", line, "/dev/null"], {
    cwd: folder,
    env: {
      ...{ PATH: process.env.PATH, HOME: folder, SHELL: "/bin/sh", TERM: "xterm" },
      ...{ SLUICE_URL: url, SLUICE_TOKEN: token },
    },
  });
  let screen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
  });
  child.stderr.resume();
  try {
    if (answer !== undefined) {
      await waitUntil(`"${answer.asked}" on the screen`, PATIENCE_MS, () => screen.includes(answer.asked));
      child.stdin.write(answer.keys);
    }
    return { code: (await child.exited).code, screen };
  } finally {
    await child.stop("SIGKILL");
  }
}
