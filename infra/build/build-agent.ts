import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("../../", import.meta.url);

/** Bundles the agent into one file that needs nothing but Node; returns its path. */
export async function buildAgent(): Promise<string> {
  const outfile = fileURLToPath(new URL("dist/sluice-agent.mjs", root));
  const { version } = JSON.parse(await readFile(new URL("agents/package.json", root), "utf8"));
  const undoScript = await readFile(new URL("agents/undo/undo.sh", root), "utf8");
  await build({
    entryPoints: [fileURLToPath(new URL("agents/main.ts", root))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    minify: true,
    legalComments: "none",
    define: { SLUICE_VERSION: JSON.stringify(version), SLUICE_UNDO_SCRIPT: JSON.stringify(undoScript) },
    // The libraries of NATS are CommonJS: in an ES module they need a require.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  return outfile;
}
