import { createHash } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, version } from "esbuild";
import { z } from "zod";

/** The checkout, as a URL that ends with a slash. */
export const CHECKOUT = new URL("../../", import.meta.url);

/** What a bundle was made of: it is the same as long as all of that is. */
const madeOf = z.strictObject({ digest: z.string(), inputs: z.array(z.string()) });

export interface Bundle {
  /** the file's name in dist/ */
  name: string;
  /** from the checkout's root */
  entry: string;
  options: BuildOptions;
  /** the module that says how it is made */
  madeBy: string;
  /** what comes last, on the file that isn't in its place yet */
  finish?(file: string): Promise<void>;
}

/**
 * One file that needs nothing but Node and, unless the options say otherwise, this checkout; returns its path.
 *
 * 1. The file is replaced whole, so that whoever starts it meanwhile has the old one or the new one.
 * 2. It is made anew only where something it was made of reads differently by now, byte for byte.
 */
export async function bundle({ name, entry, options, madeBy, finish }: Bundle): Promise<string> {
  const outfile = fileURLToPath(new URL(`dist/${name}`, CHECKOUT));
  const record = `${outfile}.made-of`;
  const recipe = [
    version,
    process.version,
    JSON.stringify({ entry, options }),
    await readFile(madeBy, "utf8"),
  ];

  const standing = await readRecord(record, outfile);
  if (standing && (await digestOf(recipe, standing.inputs)) === standing.digest) return outfile;

  await rm(record, { force: true });
  const unfinished = `${outfile}.${process.pid}`;
  const { metafile } = await build({
    absWorkingDir: fileURLToPath(CHECKOUT),
    entryPoints: [entry],
    outfile: unfinished,
    bundle: true,
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node24",
    legalComments: "none",
    // Libraries that are CommonJS need a require in an ES module.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    ...options,
  });
  await finish?.(unfinished);
  const inputs = Object.keys(metafile?.inputs ?? {}).filter((input) => !input.includes(":"));
  const digest = await digestOf(recipe, inputs);
  await rename(unfinished, outfile);
  await writeFile(`${unfinished}.made-of`, JSON.stringify({ digest, inputs }));
  await rename(`${unfinished}.made-of`, record);
  return outfile;
}

async function readRecord(record: string, outfile: string) {
  try {
    await readFile(outfile);
    return madeOf.parse(JSON.parse(await readFile(record, "utf8")));
  } catch {
    return undefined; // never made, or half: then it is made
  }
}

/** undefined where one of them can't be read any more */
async function digestOf(recipe: readonly string[], inputs: readonly string[]): Promise<string | undefined> {
  const hash = createHash("sha256").update(JSON.stringify(recipe));
  try {
    for (const input of inputs) {
      const text = await readFile(new URL(input, CHECKOUT));
      hash.update(`${input} ${text.length}\n`).update(text);
    }
  } catch {
    return undefined;
  }
  return hash.digest("hex");
}
