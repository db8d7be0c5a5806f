import { eq } from "drizzle-orm";
import { feedReaderTable } from "../schema/feed.ts";
import { decidedBy } from "./decided-by.ts";
import type { Projection } from "./projection.ts";

export const feed: Projection = {
  name: "feed",
  tables: [feedReaderTable],
  async apply(tx, event) {
    switch (event.type) {
      case "FeedReaderAdded": {
        const { reader, consumer, from, only = null } = event.data;
        const row = { reader, consumer, fromSeq: from, onlyType: only, removed: false };
        await tx.insert(feedReaderTable).values({ ...row, ...decidedBy(event) });
        return;
      }
      case "FeedReaderRemoved": {
        const { consumer } = event.data;
        const row = { removed: true, ...decidedBy(event) };
        await tx.update(feedReaderTable).set(row).where(eq(feedReaderTable.consumer, consumer));
        return;
      }
    }
  },
};
