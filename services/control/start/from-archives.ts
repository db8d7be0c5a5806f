import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Database } from "@sluice/db/connect";
import { readHead, readPage, readStretch } from "@sluice/db/log/read";
import { type StoredEvent, toStored } from "@sluice/db/log/stored-event";
import type { AuditCheckView } from "@sluice/proto/api/proof";
import { SluiceError } from "@sluice/proto/base/errors";
import { tryJson } from "@sluice/proto/base/json";
import { type BundleEvent, bundleLine } from "@sluice/proto/wire/bundle";
import { archivesSaid } from "../audit/archived-files.ts";
import { checkBundle } from "../audit/check-bundle.ts";

type ReadStretch = typeof readStretch;

/**
 * Reads the log from its first event on: what is archived from the files, what follows from the database. Of an archived
 * event that is still a row, who and why are as they are there: they may have been erased. Throws REFUSED where a file is
 * missing, or isn't what the log says was archived.
 */
export async function openArchives(database: Database, files: readonly string[]): Promise<ReadStretch> {
  const inOrder = await mustBeAll(database, files);
  if (inOrder.length === 0) return readStretch;
  const upTo = inOrder.at(-1)?.to ?? 0;
  let reading = eventsOf(inOrder.map(({ path }) => path));
  let next = 1;

  return async (db, { after, span, types }) => {
    if (after >= upTo) return await readStretch(db, { after, span, types });
    if (after + 1 < next) {
      reading = eventsOf(inOrder.map(({ path }) => path));
      next = 1;
    }
    const to = Math.min(after + span, upTo);
    const archived: BundleEvent[] = [];
    for (; next <= to; next += 1) {
      const read = await reading.next();
      if (read.done || read.value.seq !== next)
        throw new Error(`the archives have no event ${next} in its place`);
      if (next > after) archived.push(read.value);
    }
    const rows = new Map((await readPage(database.db, after, span, to)).map((row) => [row.seq, row]));
    const events = archived.map((event) => rows.get(event.seq) ?? asStored(event));
    const { seq: newest } = await readHead(database.db);
    return { events: events.filter(({ type }) => types.includes(type)), upTo: to, newest, isLast: false };
  };
}

interface Archive {
  path: string;
  to: number;
}

async function mustBeAll({ db }: Database, files: readonly string[]): Promise<Archive[]> {
  const checked: { path: string; view: AuditCheckView }[] = [];
  for (const path of files) checked.push({ path, view: await checkBundle(linesOf(path), undefined) });
  return (await archivesSaid(db)).map(({ from, to, hash, file }) => {
    const meant = checked.find(
      ({ view }) => view.ok && view.from === from && view.to === to && view.hash === hash,
    );
    if (meant !== undefined) return { path: meant.path, to };
    throw new SluiceError(
      "REFUSED",
      `events ${from} to ${to} are archived, and no file has them as they were`,
      {
        cure: `give the archive with the sha256 ${file} with --archive; something may have been erased in it`,
        problems: checked.flatMap(({ path, view }) =>
          view.findings.map(({ message }) => ({ message: `${path}: ${message}` })),
        ),
      },
    );
  });
}

async function* eventsOf(paths: readonly string[]): AsyncGenerator<BundleEvent> {
  for (const path of paths)
    for await (const text of linesOf(path)) {
      const line = bundleLine.safeParse(tryJson(text)).data;
      if (line !== undefined && "event" in line) yield line.event;
    }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
}

function asStored({ seq, hash, body, actor, reason }: BundleEvent): StoredEvent {
  const its = { actor: actor?.value ?? null, reason: reason?.value ?? null };
  return toStored({ seq, hash: Buffer.from(hash, "hex"), body, ...its });
}
