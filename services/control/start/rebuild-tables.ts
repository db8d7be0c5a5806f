import { control } from "@sluice/db/projections/control";
import { type Rebuilt, rebuild } from "@sluice/db/projections/rebuild";
import { upcast } from "@sluice/proto/events/upcast";
import type { Logger } from "../context/services.ts";
import { type DatabaseOptions, openDatabase } from "./open-database.ts";

const TOLD_EVERY_MS = 5_000;

/** Makes control's tables again from the log, whether or not control runs meanwhile. */
export async function rebuildTables(
  options: DatabaseOptions & { log: Logger; signal: AbortSignal },
): Promise<Rebuilt> {
  const { log, signal } = options;
  await using database = await openDatabase(options, { max: 4 });
  const began = performance.now();
  let toldAt = began;
  return await rebuild(database, control, {
    ...{ upcast, log, signal },
    onProgress(seq, head) {
      const now = performance.now();
      if (now - toldAt < TOLD_EVERY_MS) return;
      toldAt = now;
      const eventsPerSec = Math.round(seq / ((now - began) / 1000));
      log.info({ seq, head, eventsPerSec }, "rebuilding");
    },
  });
}
