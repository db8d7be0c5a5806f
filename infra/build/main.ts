/**
 * Builds what is installed on servers: one file, `dist/sluice-agent.mjs`, that needs Node and nothing else. The undo
 * script goes in as text; whatever prints a stack trace of the agent has the source map beside it.
 */
import { chmod, mkdir, readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));
const outfile = `${root}dist/sluice-agent.mjs`;

/** Bundled CommonJS asks for Node's own modules by `require`. The entry brings its own `#!` line. */
const BANNER = [
  'import { createRequire as sluiceRequire } from "node:module";',
  "const require = sluiceRequire(import.meta.url);",
].join("\n");

/** Zod's messages in fifty languages are a quarter of the bundle, and memory in every agent; English is used. */
const englishOnly: Plugin = {
  name: "english-only",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

async function versionOf(packageFile: string): Promise<string> {
  const { version } = JSON.parse(await readFile(packageFile, "utf8"));
  return String(version);
}

await mkdir(`${root}dist`, { recursive: true });
await build({
  entryPoints: [`${root}agents/main.ts`],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [englishOnly],
  sourcemap: "linked",
  banner: { js: BANNER },
  define: {
    SLUICE_UNDO_SCRIPT: JSON.stringify(await readFile(`${root}agents/undo/undo.sh`, "utf8")),
    SLUICE_VERSION: JSON.stringify(await versionOf(`${root}agents/package.json`)),
  },
  logLevel: "warning",
});
await chmod(outfile, 0o755);
console.log(`${outfile}: ${Math.round((await stat(outfile)).size / 1024)} KiB`);
