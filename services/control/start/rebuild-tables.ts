import type { Database } from "@sluice/db/connect";
import { control } from "@sluice/db/projections/control";
import { past } from "@sluice/db/projections/past";
import type { Projection } from "@sluice/db/projections/projection";
import { type RebuildOptions, rebuild } from "@sluice/db/projections/rebuild";
import { upcast } from "@sluice/proto/events/upcast";
import type { Logger } from "../context/services.ts";
import { openArchives } from "./from-archives.ts";
import { type DatabaseOptions, openDatabase } from "./open-database.ts";

const TOLD_EVERY_MS = 5_000;

/** Makes control's tables and those of the past again from the log, whether or not control runs meanwhile. */
export async function rebuildTables(
  options: DatabaseOptions & { log: Logger; signal: AbortSignal; archives: readonly string[] },
): Promise<void> {
  await using database = await openDatabase(options, { max: 4 });
  const readStretch = await openArchives(database, options.archives);
  for (const projection of [control, past])
    await rebuildAloud(database, projection, { ...options, readStretch });
}

async function rebuildAloud(
  database: Database,
  projection: Projection,
  { log, signal, readStretch }: { log: Logger; signal: AbortSignal } & Pick<RebuildOptions, "readStretch">,
): Promise<void> {
  const began = performance.now();
  let toldAt = began;
  await rebuild(database, projection, {
    ...{ upcast, log, signal, ...(readStretch && { readStretch }) },
    onProgress(seq, head) {
      const now = performance.now();
      if (now - toldAt < TOLD_EVERY_MS) return;
      toldAt = now;
      const eventsPerSec = Math.round(seq / ((now - began) / 1000));
      log.info({ projection: projection.name, seq, head, eventsPerSec }, "rebuilding");
    },
  });
}
