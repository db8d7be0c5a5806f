import { feedReaderTable } from "../schema/feed.ts";
import { decidedBy } from "./decided-by.ts";
import { projection } from "./projection.ts";

export const feed = projection({
  name: "feed",
  tables: [feedReaderTable],
  on: {
    FeedReaderAdded(rows, event) {
      const { reader, consumer, from, only = null } = event.data;
      const row = { reader, consumer, fromSeq: from, onlyType: only, removed: false };
      rows.insert(feedReaderTable, { ...row, ...decidedBy(event) });
    },
    FeedReaderRemoved(rows, event) {
      const { consumer } = event.data;
      rows.update(feedReaderTable, { consumer }, { removed: true, ...decidedBy(event) });
    },
  },
});
