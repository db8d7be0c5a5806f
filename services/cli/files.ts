import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { PolicyFile } from "@sluice/proto/api/policies";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";

/** Policy files as users name them: a file, a folder (its *.yaml and *.yml, folders within too), or `-` for stdin. */
export async function readPolicyFiles(paths: readonly string[]): Promise<PolicyFile[]> {
  const files: PolicyFile[] = [];
  for (const path of paths) files.push(...(await readOne(path)));
  if (files.length === 0) throw new SluiceError("INVALID", `no *.yaml or *.yml in ${paths.join(", ")}`);
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
    throw unreadable(path, cause);
  }
}

/** An address as it was given, and where. */
export interface GivenAddress {
  text: string;
  place?: { file: string; line: number; column: number };
}

/** Addresses from a file or stdin: one a line, `#` begins a comment. */
export async function readAddresses(path: string): Promise<GivenAddress[]> {
  const file = path === "-" ? "stdin" : path;
  const content = await (path === "-" ? text(process.stdin) : readFile(path, "utf8")).catch((cause) => {
    throw unreadable(path, cause);
  });
  return content.split("\n").flatMap((line, index) => {
    const address = line.replace(/#.*/, "").trim();
    if (address === "") return [];
    return [{ text: address, place: { file, line: index + 1, column: line.indexOf(address) + 1 } }];
  });
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "not allowed to read it",
  EISDIR: "it is a folder",
};

function unreadable(path: string, cause: unknown): SluiceError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new SluiceError("INVALID", `${path} can't be read: ${WORDS[code] ?? messageOf(cause)}`, { cause });
}
