import { feedPlaceTable, feedReaderTable } from "@sluice/db/schema/feed";
import type { ReaderRowView } from "@sluice/proto/api/feed";
import { asc, eq } from "drizzle-orm";
import type { Context } from "../context/services.ts";

export async function listReaders({ database }: Context): Promise<ReaderRowView[]> {
  const rows = await database.db
    .select()
    .from(feedReaderTable)
    .leftJoin(feedPlaceTable, eq(feedPlaceTable.consumer, feedReaderTable.consumer))
    .where(eq(feedReaderTable.removed, false))
    .orderBy(asc(feedReaderTable.reader));
  return rows.map(({ feed_readers: row, feed_places: place }) => ({
    ...{ reader: row.reader, consumer: row.consumer, from: row.fromSeq },
    ...(row.onlyType !== null && { only: row.onlyType }),
    ...(place && { place: { acked: place.acked, waiting: place.waiting, at: place.at } }),
    added: { at: row.at, actor: row.actor, reason: row.reason },
  }));
}
