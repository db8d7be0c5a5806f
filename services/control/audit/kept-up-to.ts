import { readOutlines } from "@sluice/db/log/outline";
import { upcast } from "@sluice/proto/events/upcast";
import type { Services } from "../context/services.ts";
import type { Watched } from "./aloud.ts";
import { createKeeper, isWhole, READ_WHOLE } from "./kept.ts";

export interface Kept {
  kept: number[];
  /** the newest time of all events up to there (ISO) */
  until: string;
}

const LOOKS_EVERY = 1_000;

/** Which events up to this one stay. Reads them page by page: memory grows with what stays. */
export async function keptUpTo(
  { database }: Pick<Services, "database">,
  to: number,
  { onProgress, signal }: Partial<Watched> = {},
): Promise<Kept> {
  const keeper = createKeeper();
  let newestMs = 0;
  for await (const { seq, stream, type, schemaVersion, atMs, data } of readOutlines(
    database.db,
    to,
    READ_WHOLE,
  )) {
    const event = data === undefined ? undefined : upcast(type, schemaVersion, data);
    keeper.see({ seq, stream, type, whole: event !== undefined && isWhole(event) ? event : undefined });
    newestMs = Math.max(newestMs, atMs);
    if (seq % LOOKS_EVERY !== 0) continue;
    signal?.throwIfAborted();
    onProgress?.({ seq, of: to });
  }
  return { kept: keeper.kept(), until: new Date(newestMs).toISOString() };
}
