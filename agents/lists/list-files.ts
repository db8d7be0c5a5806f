import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "@sluice/proto/base/errors";
import { type ListState, readSnapshot, snapshotText } from "@sluice/proto/wire/list-state";
import { writeFileAtomically } from "../state/atomic-file.ts";

/**
 * Lists on disk: one file each, `REV DIGEST` on the first line, the snapshot below. Written a while after a change, so
 * that a thousand bans are one write; what a crash loses of it is fetched again. A torn file is not read.
 */
export interface ListFiles {
  load(list: string): Promise<ListState | undefined>;
  changed(list: string, state: ListState): void;
  close(): Promise<void>;
}

const SAVE_AFTER_MS = 5_000;

export function createListFiles(folder: string, log: (message: string) => void): ListFiles {
  const dirty = new Map<string, ListState>();
  let timer: NodeJS.Timeout | undefined;

  async function save(): Promise<void> {
    timer = undefined;
    const waiting = [...dirty];
    dirty.clear();
    for (const [list, state] of waiting) {
      const text = `${state.rev} ${state.digest}\n${snapshotText(state)}`;
      await writeFileAtomically(join(folder, list), text).catch((error) =>
        log(`list ${list} was not saved: ${messageOf(error)}`),
      );
    }
  }

  return {
    async load(list) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const text = await readFile(join(folder, list), "utf8").catch(() => undefined);
      if (text === undefined) return undefined;
      const newline = text.indexOf("\n");
      const [rev = "", digest = ""] = text.slice(0, newline).split(" ");
      return readSnapshot(text.slice(newline + 1), Number(rev), digest);
    },
    changed(list, state) {
      dirty.set(list, state);
      timer ??= setTimeout(() => void save(), SAVE_AFTER_MS);
    },
    async close() {
      clearTimeout(timer);
      await save();
    },
  };
}
