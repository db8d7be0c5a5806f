import { readFileSync } from "node:fs";
import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncFolder, writeDurably } from "../state/atomic-file.ts";

/**
 * What the server holds, as `undo.sh boot` fills an empty kernel with it: no Node, no network. A link that leads to a
 * folder: it is replaced whole, so that a boot finds the old one or the new one, never a part of either.
 */
export interface HeldFolder {
  readonly path: string;
  /** Unless it holds that already. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
  /** A folder that was written beside, such as by a change before it was confirmed, takes its place. */
  take(prepared: string): Promise<void>;
  /** The server holds nothing any more. */
  clear(): Promise<void>;
}

export function heldFolder(path: string): HeldFolder {
  const parent = dirname(path);

  /** Folders that the link doesn't lead to: of a change before, or of one that was cut off. */
  async function sweep(keep?: string): Promise<void> {
    const names = await readdir(parent);
    const old = names.filter((name) => name.startsWith(`${basename(path)}.`) && name !== keep);
    for (const name of old) await rm(join(parent, name), { recursive: true, force: true });
  }

  async function take(prepared: string): Promise<void> {
    const digest = digestOf(prepared);
    if (digest === undefined) return;
    const name = `${basename(path)}.${digest.slice(0, 16)}`;
    const isThere = digestOf(join(parent, name)) === digest;
    if (!isThere) await rename(prepared, join(parent, name));
    await rm(`${path}.link`, { force: true });
    await symlink(name, `${path}.link`);
    await rename(`${path}.link`, path);
    await syncFolder(parent);
    await sweep(name);
  }

  return {
    path,
    async write(files) {
      if (files.digest !== undefined && digestOf(path) === files.digest.trim()) return;
      const aside = `${path}.new`;
      await writeFolder(aside, files);
      await take(aside);
    },
    take,
    async clear() {
      await rm(path, { force: true });
      await sweep();
    },
  };
}

/** Its digest is written last: a folder that has one is whole. */
export async function writeFolder(path: string, files: Readonly<Record<string, string>>): Promise<void> {
  const { digest = "", ...others } = files;
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
  await Promise.all(Object.entries(others).map(([name, text]) => writeDurably(join(path, name), text)));
  await writeDurably(join(path, "digest"), digest);
  await syncFolder(path);
}

function digestOf(path: string): string | undefined {
  try {
    return readFileSync(join(path, "digest"), "utf8").trim();
  } catch {
    return undefined;
  }
}
