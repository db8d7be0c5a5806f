import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { PolicyFile } from "@sluice/proto/api/policies";
import { SluiceError } from "@sluice/proto/base/errors";

/** Policy files as `-f` names them: a file, a folder (its *.yaml and *.yml, folders within too), or `-` for stdin. */
export async function readPolicyFiles(paths: readonly string[]): Promise<PolicyFile[]> {
  const files: PolicyFile[] = [];
  for (const path of paths) files.push(...(await readOne(path)));
  if (files.length === 0) {
    throw new SluiceError("INVALID", `no *.yaml or *.yml in ${paths.join(", ")}`, {
      cure: "give a policy file or a folder of them with -f",
    });
  }
  return files;
}

async function readOne(path: string): Promise<PolicyFile[]> {
  if (path === "-") return [{ name: "stdin", text: await text(process.stdin) }];
  try {
    if (!(await stat(path)).isDirectory()) return [{ name: path, text: await readFile(path, "utf8") }];
    const names = (await readdir(path, { recursive: true })).filter((name) => /\.ya?ml$/.test(name)).sort();
    return await Promise.all(
      names.map(async (name) => ({ name: join(path, name), text: await readFile(join(path, name), "utf8") })),
    );
  } catch (cause) {
    throw new SluiceError("INVALID", `${path} can't be read`, {
      cause,
      cure: "check the path given with -f",
    });
  }
}

/** Addresses from a file or stdin: one a line, `#` begins a comment. */
export async function readAddresses(path: string): Promise<string[]> {
  try {
    const content = path === "-" ? await text(process.stdin) : await readFile(path, "utf8");
    return content
      .split("\n")
      .map((line) => line.replace(/#.*/, "").trim())
      .filter((line) => line !== "");
  } catch (cause) {
    throw new SluiceError("INVALID", `${path} can't be read`, {
      cause,
      cure: "check the path given with -f",
    });
  }
}
