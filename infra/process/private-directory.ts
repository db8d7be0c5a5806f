import { chmodSync, chownSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { User } from "./guarded-child.ts";
import { cleanUpOnDeath } from "./janitor.ts";

export interface PrivateDirectory extends AsyncDisposable {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * A new directory under /tmp that is gone when `remove()` returned, or when this process died.
 * Always /tmp, not TMPDIR: other users must be able to walk in, and UNIX socket paths end at 107 bytes.
 */
export function makePrivateDirectory(kind: string, owner?: User): PrivateDirectory {
  const path = mkdtempSync(join("/tmp", `sluice-${kind}-`));
  const janitor = cleanUpOnDeath({ paths: [path] });
  chmodSync(path, 0o755);
  if (owner) chownSync(path, owner.uid, owner.gid);
  async function remove() {
    await rm(path, { recursive: true, force: true });
    janitor.release();
  }
  return { path, remove, [Symbol.asyncDispose]: remove };
}
