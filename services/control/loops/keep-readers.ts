import { feedPlaceTable, feedReaderTable } from "@sluice/db/schema/feed";
import { eq, sql } from "drizzle-orm";
import type { Services } from "../context/services.ts";
import { every } from "./every.ts";
import type { Publisher } from "./publish-desired.ts";

const LOOK_MS = 1_000;
const ASK_MS = 10_000;

/**
 * Keeps a consumer in the broker for each reader of the feed, and none for those that were removed.
 *
 * 1. One that is missing is made anew after the last event it was seen to have acknowledged, or where it was to begin: what
 *    it acknowledged since then comes again, nothing is left out.
 * 2. It isn't made before the feed reaches so far: the broker would begin it elsewhere.
 * 3. One that was removed is taken away by every control that knew it, so none that was late in making it leaves it there.
 */
export function createReaderKeeper({ database, link, clock, log }: Services): Publisher {
  const known = new Map<string, "made" | "gone">();
  let askedAtMs = 0;

  async function look(): Promise<void> {
    if (!link.connected()) return;
    const rows = await readerRows();
    for (const { consumer, removed, ...reader } of rows) {
      const wanted = removed ? "gone" : "made";
      if (known.get(consumer) === wanted) continue;
      const done = removed ? await link.dropReader(consumer) : await link.putReader({ consumer, ...reader });
      if (done) known.set(consumer, wanted);
    }
    const nowMs = clock.now().getTime();
    if (Math.abs(nowMs - askedAtMs) < ASK_MS) return;
    askedAtMs = nowMs;
    for (const { consumer } of rows) if (known.get(consumer) === "made") await ask(consumer);
  }

  async function readerRows() {
    const found = await database.db
      .select()
      .from(feedReaderTable)
      .leftJoin(feedPlaceTable, eq(feedPlaceTable.consumer, feedReaderTable.consumer));
    return found.map(({ feed_readers: { consumer, removed, fromSeq, onlyType }, feed_places: place }) => ({
      ...{ consumer, removed, from: Math.max(fromSeq, (place?.acked ?? 0) + 1) },
      ...(onlyType !== null && { only: onlyType }),
    }));
  }

  async function ask(consumer: string): Promise<void> {
    const place = await link.readerPlace(consumer);
    if (place === undefined) return void known.delete(consumer);
    const at = clock.now().toISOString();
    await database.db
      .insert(feedPlaceTable)
      .values({ consumer, ...place, at })
      .onConflictDoUpdate({
        target: feedPlaceTable.consumer,
        // what was acknowledged stays so, also where another control looked later
        set: { acked: sql`greatest(feed_places.acked, excluded.acked)`, waiting: place.waiting, at },
      });
  }

  return {
    again() {
      known.clear();
    },
    run: (signal) => every(LOOK_MS, "keeping the feed's readers", look, { signal, log }),
  };
}
