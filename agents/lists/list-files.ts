import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, mkdir, open, readFile, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "@sluice/proto/base/errors";
import { type ListDelta, listDelta } from "@sluice/proto/wire/list";
import { createSnapshotReader, snapshotChunks } from "@sluice/proto/wire/list-snapshot";
import { applyDelta, type ListState } from "@sluice/proto/wire/list-state";
import { syncFolder } from "../state/atomic-file.ts";

/**
 * Lists on disk: for each a snapshot, and beside it the deltas since, one a line.
 *
 *   NAME          REV DIGEST SHA256    of the lines below: these bytes were written here, so nothing is summed up again
 *                 entry[ until]
 *   NAME.deltas   {…}                  as they were heard, each checked against what is before it
 *
 * 1. A delta is appended at once, and costs what it says, not what the list holds.
 * 2. Deltas that have become more than a quarter of the list are folded into a new snapshot, a while later.
 * 3. What a crash loses is fetched again; a torn line and all after it isn't read, a torn snapshot neither.
 */
export interface ListFiles {
  load(list: string): Promise<ListState | undefined>;
  /** `delta` led to this state; undefined: another way did */
  changed(list: string, state: ListState, delta?: ListDelta): void;
  close(): Promise<void>;
}

const FOLD_AFTER_MS = 5_000;
const FOLD_FROM_BYTES = 64 * 1024;
const SHARE = 4;

export function createListFiles(folder: string, log: (message: string) => void): ListFiles {
  const waiting = new Map<string, ListState>();
  const sizes = new Map<string, { snapshot: number; deltas: number }>();
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

  const snapshotFile = (list: string) => join(folder, list);
  const deltaFile = (list: string) => join(folder, `${list}.deltas`);

  function inTurn(list: string, work: () => Promise<void>): void {
    last = last.then(work).catch((error) => log(`list ${list} was not saved: ${messageOf(error)}`));
  }

  function sizeOf(list: string) {
    const size = sizes.get(list) ?? { snapshot: 0, deltas: 0 };
    sizes.set(list, size);
    return size;
  }

  async function append(list: string, delta: ListDelta): Promise<void> {
    const line = `${JSON.stringify(delta)}\n`;
    await appendFile(deltaFile(list), line, { mode: 0o600 });
    sizeOf(list).deltas += line.length;
  }

  function foldLater(list: string, state: ListState): void {
    waiting.set(list, state);
    timer ??= setTimeout(fold, FOLD_AFTER_MS);
  }

  function fold(): void {
    timer = undefined;
    for (const [list, state] of waiting) inTurn(list, () => writeSnapshot(list, state));
    waiting.clear();
  }

  async function writeSnapshot(list: string, state: ListState): Promise<void> {
    const path = snapshotFile(list);
    const bytes = await writeWhole(`${path}.new`, state).catch(async (error) => {
      await rm(`${path}.new`, { force: true });
      throw error;
    });
    await rename(`${path}.new`, path);
    await syncFolder(folder);
    // between the two a crash leaves deltas that the snapshot holds already: they count as old
    await truncate(deltaFile(list)).catch(() => undefined);
    sizes.set(list, { snapshot: bytes, deltas: 0 });
  }

  return {
    async load(list) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const found = await readWhole(snapshotFile(list));
      if (found === undefined) return undefined;
      const text = await readFile(deltaFile(list), "utf8").catch(() => "");
      sizes.set(list, { snapshot: found.bytes, deltas: text.length });
      for (const line of text.split("\n")) {
        const delta = listDelta.safeParse(tryJson(line));
        if (!delta.success || !["applied", "old"].includes(applyDelta(found.state, delta.data))) break;
      }
      return found.state;
    },
    changed(list, state, delta) {
      if (delta === undefined || sizeOf(list).snapshot === 0) return foldLater(list, state);
      inTurn(list, () => append(list, delta));
      const { snapshot, deltas } = sizeOf(list);
      if (deltas > FOLD_FROM_BYTES && deltas > snapshot / SHARE) foldLater(list, state);
    },
    async close() {
      clearTimeout(timer);
      fold();
      await last;
    },
  };
}

/** Returns the number of bytes. All lines are rendered at once: deltas go on changing the state while they are written. */
async function writeWhole(path: string, { rev, digest, entries }: ListState): Promise<number> {
  const hash = createHash("sha256");
  const chunks = [...snapshotChunks(entries)];
  for (const chunk of chunks) hash.update(chunk);
  chunks.unshift(Buffer.from(`${rev} ${digest} ${hash.digest("hex")}\n`));
  const file = await open(path, "w", 0o600);
  try {
    let bytes = 0;
    for (const chunk of chunks) {
      await file.write(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

async function readWhole(path: string): Promise<{ state: ListState; bytes: number } | undefined> {
  let head: { rev: number; digest: string; sha256: string | undefined } | undefined;
  let reader = createSnapshotReader();
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      let body: Buffer = chunk;
      bytes += chunk.length;
      if (head === undefined) {
        const newline = chunk.indexOf("\n");
        const [rev, digest = "", sha256] = chunk.subarray(0, newline).toString().split(" ");
        head = { rev: Number(rev), digest, sha256 };
        reader = createSnapshotReader({ trusted: sha256 !== undefined });
        body = chunk.subarray(newline + 1);
      }
      hash.update(body);
      reader.heard(body);
    }
  } catch {
    return undefined;
  }
  if (head === undefined) return undefined;
  if (head.sha256 !== undefined && hash.digest("hex") !== head.sha256) return undefined;
  const state = reader.end(head.rev, head.digest);
  return state && { state, bytes };
}

function tryJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
