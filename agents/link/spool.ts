import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { jittered } from "./backoff.ts";

/**
 * Reports on their way out, one file each, oldest first.
 *
 * 1. A report is on disk (fsynced) before `add` returns, so it survives the agent and an outage of NATS.
 * 2. They are delivered one at a time, in order; a file goes only when its delivery was acknowledged.
 * 3. Where the disk takes nothing more, a report is kept in memory instead: better late than never.
 */
export interface Spool {
  add(text: string): Promise<void>;
  /** Delivers what waits. After a failure it tries again by itself; never throws. */
  flush(): Promise<void>;
  waiting(): number;
  close(): void;
}

interface Item {
  file: string | undefined;
  text: string;
}

const RETRY_MS = 1_000;

export async function openSpool(folder: string, deliver: (text: string) => Promise<void>): Promise<Spool> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const items = await readItems(folder);
  let next = 1 + items.reduce((most, { file }) => Math.max(most, numberOf(file)), 0);
  let flushing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    for (let item = items[0]; item !== undefined; item = items[0]) {
      await deliver(item.text);
      items.shift();
      if (item.file !== undefined) await rm(join(folder, item.file), { force: true });
    }
  }

  async function flush(): Promise<void> {
    clearTimeout(retry);
    flushing ??= drain()
      .catch(() => {
        if (!closed) retry = setTimeout(() => void flush(), jittered(RETRY_MS));
      })
      .finally(() => {
        flushing = undefined;
      });
    await flushing;
  }

  return {
    waiting: () => items.length,
    flush,
    close() {
      closed = true;
      clearTimeout(retry);
    },
    async add(text) {
      const file = `${String(next).padStart(12, "0")}.json`;
      next += 1;
      const stored = await writeDurably(join(folder, file), text).then(
        () => true,
        () => false,
      );
      items.push({ file: stored ? file : undefined, text });
    },
  };
}

async function readItems(folder: string): Promise<Item[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();
  return await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(join(folder, file), "utf8") })),
  );
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function numberOf(file: string | undefined): number {
  return file === undefined ? 0 : Number.parseInt(file, 10) || 0;
}
