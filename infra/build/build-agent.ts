import { chmod, readFile, writeFile } from "node:fs/promises";
import type { Plugin } from "esbuild";
import { bundle, CHECKOUT } from "./bundle.ts";

/**
 * How Node runs the agent: it makes little garbage, rarely, so small semi-spaces and compact code keep a third of its
 * memory free for the server. Hardly anything in it is worth compiling, and V8's compilers are 5 MB of Node's pages that
 * nobody reads otherwise: only what runs very often (a list of a million entries) is, by the one that makes the best code.
 * They stand in the bundle's first line; who starts it with a Node of its own gives them.
 */
export const AGENT_NODE_FLAGS: readonly string[] = [
  ...["--max-semi-space-size=1", "--optimize-for-size"],
  ...["--no-sparkplug", "--no-maglev", "--invocation-count-for-turbofan=30000"],
];

/**
 * One heap for all threads of libc: each of their own would keep what it once needed. A fixed threshold, glibc's own at
 * the start: it raises it with the first big piece that is freed, and from then on such pieces are never given back.
 */
export const AGENT_ENVIRONMENT = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072" } as const;

/** Zod's messages in fifty languages are a quarter of the bundle, and memory in every agent; English is used. */
const englishOnly: Plugin = {
  name: "english-only",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

/** `import { z }` is one object that holds all of zod; by its names the half that nobody uses can be left out. */
const zodByName: Plugin = {
  name: "zod-by-name",
  setup({ onLoad }) {
    onLoad({ filter: /\/(agents|proto)\/.*\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return {
        loader: "ts",
        contents: text.replace('import { z } from "zod";', 'import * as z from "zod";'),
      };
    });
  },
};

/** Bundles the agent into one file that needs nothing but Node; returns its path. */
export async function buildAgent(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("agents/package.json", CHECKOUT), "utf8"));
  const undoScript = await readFile(new URL("agents/undo/undo.sh", CHECKOUT), "utf8");
  const stationScript = await readFile(new URL("agents/packets/station.mjs", CHECKOUT), "utf8");
  return await bundle({
    name: "sluice-agent.mjs",
    entry: "agents/main.ts",
    madeBy: import.meta.filename,
    options: {
      minify: true,
      plugins: [englishOnly, zodByName],
      define: {
        SLUICE_VERSION: JSON.stringify(version),
        SLUICE_UNDO_SCRIPT: JSON.stringify(undoScript),
        SLUICE_STATION_SCRIPT: JSON.stringify(stationScript),
      },
    },
    finish: makeProgram,
  });
}

async function makeProgram(file: string): Promise<void> {
  const bundled = await readFile(file, "utf8");
  const variables = Object.entries(AGENT_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const firstLine = `#!/usr/bin/env -S ${[...variables, "node", ...AGENT_NODE_FLAGS].join(" ")}\n`;
  await writeFile(file, firstLine + bundled.replace(/^#!.*\n/, ""));
  await chmod(file, 0o755);
}
